public import OCIModel
public import SystemPackage

/// Finds the images FROM, `COPY --from` and mounts name.
public protocol BaseImages: Sendable {
    /// The manifest or index a name stands for, in the store afterwards. Throws when it cannot be had.
    func digest(of image: String, platform: Platform) async throws -> Digest
}

/// Fetches what `ADD https://…` names.
public protocol RemoteFiles: Sendable {
    /// Writes the file's bytes to `file`, which must be new, and returns its time of last change, in seconds since 1970,
    /// when the server tells. More than `limit` bytes, or another answer than success, throws.
    func fetch(_ url: String, to file: FilePath, limit: Int64) async throws -> Int64?
}

/// Checks out what `ADD` of a git repository names.
public protocol RemoteRepositories: Sendable {
    /// The commit a branch, tag or commit (nil: the default branch) is.
    func commit(of url: String, reference: String?) async throws -> String
    /// Writes the commit's files into the existing, empty `folder`.
    func checkOut(_ url: String, commit: String, into folder: FilePath) async throws
}
