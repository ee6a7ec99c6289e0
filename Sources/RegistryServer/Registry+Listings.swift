import HTTPTypes
import Hummingbird
import ImageStore
import NIOCore
import OCIModel

/// Lists: tags, repositories, referrers (distribution-spec, "Content Discovery").
extension Registry {
    private struct TagList: Encodable {
        let name: String
        let tags: [String]
    }

    private struct Catalog: Encodable { let repositories: [String] }

    /// A page may hold this many entries.
    private static let pageLimit = 10_000

    func tags(_ name: RepositoryName, _ request: Request) async throws -> Response {
        let all = try await store.tags(in: name)
        if all.isEmpty, try await store.manifests(in: name).isEmpty {
            throw RegistryFailure(.notFound, .nameUnknown, "no repository \(name)")
        }
        let page = try page(of: all.map(\.rawValue), at: "/v2/\(name)/tags/list", request)
        return try json(TagList(name: name.rawValue, tags: page.entries), next: page.next)
    }

    func catalog(_ request: Request) async throws -> Response {
        var visible: [String] = []
        for repository in try await store.repositories() {
            if try await mayPull(repository, request) { visible.append(repository.rawValue) }
        }
        let page = try page(of: visible, at: "/v2/_catalog", request)
        return try json(Catalog(repositories: page.entries), next: page.next)
    }

    private func mayPull(_ repository: RepositoryName, _ request: Request) async throws -> Bool {
        do { return try await authorize(request, .pull, repository) } catch is HTTPError { return false }
    }

    /// Manifests whose `subject` is `digest`, as an index. Every manifest of the repository is looked at.
    func referrers(_ name: RepositoryName, _ digest: Digest, _ request: Request) async throws -> Response {
        let filter = query("artifactType", request)
        var found: [Descriptor] = []
        for (manifest, mediaType) in try await store.manifests(in: name) {
            let bytes = try await store.read(manifest, limit: Self.manifestLimit)
            guard let document = try? ManifestDocument(bytes, contentType: mediaType),
                document.subject?.digest == digest, filter == nil || document.artifactType == filter
            else { continue }
            found.append(
                Descriptor(
                    mediaType: mediaType, digest: manifest, size: Int64(bytes.count),
                    annotations: document.annotations, artifactType: document.artifactType))
        }
        var response = try json(Index(manifests: found))
        response.headers[.contentType] = MediaType.ociIndex
        if filter != nil { response.headers[.ociFiltersApplied] = "artifactType" }
        return response
    }

    private struct Page {
        let entries: [String]
        /// The address of the following page; nil when this is the last one.
        let next: String?
    }

    /// The part of a sorted list after `last`, at most `n` long.
    private func page(of all: [String], at path: String, _ request: Request) throws -> Page {
        var limit = Self.pageLimit
        if let text = query("n", request) {
            guard let given = Int(text), given >= 0 else {
                throw RegistryFailure(.badRequest, .unsupported, "n must be a number")
            }
            limit = min(given, limit)
        }
        let last = query("last", request)
        let rest = all.drop { name in last.map { !$0.utf8.lexicographicallyPrecedes(name.utf8) } ?? false }
        let entries = Array(rest.prefix(limit))
        guard rest.count > entries.count, let end = entries.last else { return Page(entries: entries, next: nil) }
        // Tags and repository names need no escaping apart from the slash, which a query may hold.
        return Page(entries: entries, next: "\(path)?n=\(limit)&last=\(end)")
    }

    private func json(_ value: some Encodable, next: String? = nil) throws -> Response {
        var headers: HTTPFields = [.contentType: "application/json"]
        if let next { headers[.link] = "<\(next)>; rel=\"next\"" }
        return Response(
            status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: try OCIJSON.encode(value))))
    }
}
