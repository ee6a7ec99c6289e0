import AsyncHTTPClient
import NIOHTTP1
public import OCIModel

extension RegistryClient {
    /// What refers to an image or index: signatures, bills of materials, attestations (distribution-spec, "Listing
    /// Referrers"). A registry without that list is asked for the tag `sha256-<hex>`, where clients keep one for it.
    ///
    /// - Parameter artifactType: only those of this type; nil: all.
    /// - Returns: descriptors with their artifact types and annotations; empty when there are none.
    public func referrers(
        of digest: Digest, in repository: RepositoryName, artifactType: String? = nil
    ) async throws -> [Descriptor] {
        let scope = Scope.pull(repository.rawValue)
        let task = "listing what refers to \(host)/\(repository)@\(digest)"
        let found =
            if let listed = try await listedReferrers(of: digest, in: repository, artifactType, scope, task) { listed } else {
                try await taggedReferrers(of: digest, in: repository, scope: scope, task: task).manifests
            }
        // Registries may ignore the filter.
        return artifactType.map { type in found.filter { $0.artifactType == type } } ?? found
    }

    /// Nil: this registry keeps no such lists.
    private func listedReferrers(
        of digest: Digest, in repository: RepositoryName, _ artifactType: String?, _ scope: Scope, _ task: String
    ) async throws -> [Descriptor]? {
        var path = "referrers/\(digest)"
        if let artifactType { path += "?artifactType=\(Transport.escape(artifactType))" }
        var request = self.request(.GET, repository, path, scope)
        request.task = task
        request.headers = ["Accept": MediaType.ociIndex]
        var found: [Descriptor] = []
        // A bound on what a registry can make us do.
        for _ in 0..<100 {
            let (response, bytes) = try await transport.retry.run {
                let response = try await transport.sendOnce(request)
                guard response.status == .ok else { return (response, [UInt8]()) }
                return (response, try await collect(response, task))
            }
            guard response.status == .ok else {
                guard [400, 404, 405, 501].contains(response.status.code) else { throw await transport.failure(response, task) }
                await transport.drain(response)
                return nil
            }
            guard let index = try? OCIJSON.decode(Index.self, from: bytes) else { return nil }
            found += index.manifests
            guard let next = Self.nextPage(response.headers), let url = Transport.resolve(next, at: request.url),
                Transport.origin(of: url) == transport.origin
            else { break }
            request.url = url
        }
        return found
    }

    /// The address in `Link: <…>; rel="next"` (RFC 8288).
    static func nextPage(_ headers: HTTPHeaders) -> String? {
        for link in headers["Link"] where link.contains(#"rel="next""#) || link.contains("rel=next") {
            guard let open = link.firstIndex(of: "<"), let close = link[open...].firstIndex(of: ">") else { continue }
            return String(link[link.index(after: open)..<close])
        }
        return nil
    }

    /// The list that clients keep under a tag (distribution-spec, "Referrers Tag Schema").
    func taggedReferrers(of digest: Digest, in repository: RepositoryName, scope: Scope, task: String) async throws -> Index {
        do {
            let content = try await fetchManifest(repository, .tag(try Self.referrersTag(digest)), scope: scope, task: task)
            guard case .index(let index) = content.kind else { return Index(manifests: []) }
            return index
        } catch let error as RegistryError where error.code == .notFound {
            return Index(manifests: [])
        }
    }

    /// `sha256-<hex>`
    static func referrersTag(_ digest: Digest) throws -> Tag {
        try Tag(parsing: String(digest.description.map { $0 == ":" ? "-" : $0 }.prefix(128)))
    }
}

extension Push {
    /// For registries that keep no lists of referrers: adds a manifest to the list under its subject's tag. Two clients that
    /// do so at once may overwrite each other's list, so it is looked at again afterwards.
    func refer(_ content: ManifestContent, to subject: Descriptor) async throws {
        for _ in 0..<5 {
            var index = try await client.taggedReferrers(of: subject.digest, in: repository, scope: scope, task: task)
            if index.manifests.contains(where: { $0.digest == content.digest }) { return }
            index.mediaType = MediaType.ociIndex
            index.manifests.append(content.asReferrer)
            let list = try ManifestContent(try OCIJSON.encode(index), mediaType: MediaType.ociIndex)
            try await manifest(list, as: .tag(try RegistryClient.referrersTag(subject.digest)))
        }
        throw RegistryError(
            .rejected, "\(task): the list of what refers to \(subject.digest) does not keep what is added to it",
            hint: "others write to it at the same time; push again")
    }
}
