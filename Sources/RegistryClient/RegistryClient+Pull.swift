import AsyncHTTPClient
public import ImageStore
import NIOCore
import NIOHTTP1
public import OCIModel

extension RegistryClient {
    /// Pulls an image or index into the store: blobs first (in parallel, those missing only), then manifests with
    /// children first, the tag last. Everything is verified; an interrupted blob is resumed.
    ///
    /// - Parameters:
    ///   - name: the repository of the store that gets the image (and the tag, when pulled by tag).
    ///   - platform: of an index take only this machine's image, and return that. Nil takes every platform.
    ///   - progress: called per piece, from several tasks at once.
    /// - Returns: the digest of what was pulled.
    public func pull(
        _ repository: RepositoryName, _ reference: ManifestReference, into store: ImageStore, as name: RepositoryName,
        platform: Platform? = nil, progress: (@Sendable (RegistryProgress) -> Void)? = nil
    ) async throws -> Digest {
        let pull = Pull(
            client: self, store: store, repository: repository, name: name,
            task: "pulling \(host)/\(repository)\(reference)", progress: progress)
        var content = try await pull.manifest(reference)
        if let platform { content = try await pull.select(platform, from: content) }
        try await pull.tree(content, depth: 0)
        if case .tag(let tag) = reference { try await store.tag(tag, as: content.digest, in: name) }
        return content.digest
    }

    /// A manifest with its exact bytes, verified against the digest when asked by digest.
    func fetchManifest(
        _ repository: RepositoryName, _ reference: ManifestReference, scope: Scope, task: String? = nil
    ) async throws -> ManifestContent {
        var request = self.request(.GET, repository, "manifests/\(reference.path)", scope)
        request.task = task ?? "pulling \(host)/\(repository)\(reference)"
        request.headers = Self.acceptManifests
        let (bytes, type, announced) = try await transport.retry.run {
            let response = try await transport.sendOnce(request)
            guard response.status == .ok else { throw await transport.failure(response, request.task) }
            return (
                try await collect(response, request.task), response.headers.first(name: "Content-Type"),
                response.headers.first(name: "Docker-Content-Digest")
            )
        }
        var expected = announced.flatMap { try? Digest(parsing: $0) }
        if case .digest(let digest) = reference { expected = digest }
        let content = try ManifestContent(
            bytes, mediaType: type.map { String($0.prefix { $0 != ";" }) }, algorithm: expected?.algorithm ?? .sha256)
        if let expected, expected != content.digest {
            throw RegistryError(
                .digestMismatch, "\(request.task): the manifest has digest \(content.digest), not \(expected)",
                hint: "it was changed on the way or in the registry; do not use it")
        }
        return content
    }

    private func collect(_ response: HTTPClientResponse, _ task: String) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            for try await buffer in response.body {
                guard bytes.count + buffer.readableBytes <= Self.manifestLimit else {
                    throw RegistryError(
                        .sizeMismatch, "\(task): the manifest is larger than \(Self.manifestLimit) bytes",
                        hint: "this is not an image manifest")
                }
                bytes.append(contentsOf: buffer.readableBytesView)
            }
        } catch {
            throw transport.broken(error, task)
        }
        return bytes
    }
}

/// One pull on its way.
struct Pull: Sendable {
    let client: RegistryClient
    let store: ImageStore
    let repository: RepositoryName
    let name: RepositoryName
    let task: String
    let progress: (@Sendable (RegistryProgress) -> Void)?

    var scope: Scope { .pull(repository.rawValue) }

    /// From the store when it is there by digest, else from the registry.
    func manifest(_ reference: ManifestReference) async throws -> ManifestContent {
        if case .digest(let digest) = reference, try store.size(of: digest) != nil,
            let bytes = try? await store.read(digest, limit: RegistryClient.manifestLimit)
        {
            return try ManifestContent(bytes, mediaType: nil, algorithm: digest.algorithm)
        }
        return try await client.fetchManifest(repository, reference, scope: scope, task: task)
    }

    func select(_ platform: Platform, from content: ManifestContent) async throws -> ManifestContent {
        guard case .index(let index) = content.kind else { return content }
        let fitting = index.manifests.filter {
            $0.platform?.os == platform.os && $0.platform?.architecture == platform.architecture
        }
        guard let chosen = fitting.first(where: { $0.platform?.variant == platform.variant }) ?? fitting.first else {
            let offered = index.manifests.compactMap(\.platform?.description).joined(separator: ", ")
            throw RegistryError(
                .notFound, "\(task): no image for \(platform)", hint: "the registry offers: \(offered.prefix(500))")
        }
        return try await select(platform, from: try await manifest(.digest(chosen.digest)))
    }

    func tree(_ content: ManifestContent, depth: Int) async throws {
        guard depth < 8 else {
            throw RegistryError(.unsupported, "\(task): indexes are nested too deep", hint: "pull the inner image itself")
        }
        switch content.kind {
        case .index(let index):
            for child in index.manifests { try await tree(try await manifest(.digest(child.digest)), depth: depth + 1) }
        case .image(let manifest):
            try await forEachConcurrently(ManifestContent.blobs(of: manifest), width: RegistryClient.parallelBlobs) {
                try await blob($0)
            }
        }
        _ = try await store.write(content.bytes, expecting: content.digest)
        try await store.record(manifest: content.digest, mediaType: content.mediaType, in: name)
    }
}
