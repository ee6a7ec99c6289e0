import HTTPTypes

extension HTTPField.Name {
    static let dockerDistributionAPIVersion = known("Docker-Distribution-Api-Version")
    static let dockerContentDigest = known("Docker-Content-Digest")
    static let dockerUploadUUID = known("Docker-Upload-UUID")
    static let ociSubject = known("OCI-Subject")
    static let ociFiltersApplied = known("OCI-Filters-Applied")
    static let ociTag = known("OCI-Tag")
    static let link = known("Link")

    /// The literals above are valid field names; `Date` only stands in for what cannot happen.
    private static func known(_ name: String) -> HTTPField.Name { HTTPField.Name(name) ?? .date }
}
