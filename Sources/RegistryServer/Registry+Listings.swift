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

    /// Manifests whose `subject` is `digest`, as an index of at most the size a manifest may have; the rest follows
    /// after `last`.
    func referrers(_ name: RepositoryName, _ digest: Digest, _ request: Request) async throws -> Response {
        let filter = query("artifactType", request)
        let last = query("last", request).flatMap { try? Digest(parsing: $0) }
        var found: [Descriptor] = []
        var size = 0
        var next: String?
        for (manifest, mediaType) in try await store.referrers(of: digest, in: name) {
            if let last, manifest <= last { continue }
            let bytes = try await store.read(manifest, limit: Self.manifestLimit)
            guard let document = try? ManifestDocument(bytes, contentType: mediaType),
                filter == nil || document.artifactType == filter
            else { continue }
            let descriptor = Descriptor(
                mediaType: mediaType, digest: manifest, size: Int64(bytes.count),
                annotations: document.annotations, artifactType: document.artifactType)
            size += try OCIJSON.encode(descriptor).count + 1
            if size > Self.manifestLimit - 1024, let end = found.last {
                next = "/v2/\(name)/referrers/\(digest)?last=\(end.digest)" + (filter.map { "&artifactType=\(Self.escaped($0))" } ?? "")
                break
            }
            found.append(descriptor)
        }
        var response = try json(Index(manifests: found), next: next)
        response.headers[.contentType] = MediaType.ociIndex
        if filter != nil { response.headers[.ociFiltersApplied] = "artifactType" }
        return response
    }

    /// A query value as RFC 3986, 3.4 wants it.
    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte -> String in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e, 0x2f: return String(UnicodeScalar(byte))
            default: return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
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
