import AsyncHTTPClient
public import ImageStore
import Logging
import NIOCore
import NIOHTTP1
public import OCIModel

extension RegistryClient {
    /// Pulls an image or index into the store: blobs first (in parallel, those missing only), then manifests with
    /// children first, the tag last. Everything is verified; an interrupted blob is resumed.
    ///
    /// With mirrors the registry itself still says what a tag names, as long as it answers; content comes from the first
    /// mirror that has it.
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
        var content = try await pull.root(reference)
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

    func collect(_ response: HTTPClientResponse, _ task: String) async throws -> [UInt8] {
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

    /// The mirrors, then the registry itself.
    var sources: [RegistryClient] { client.mirrors + [client] }

    /// What a reference names: of a tag the registry's own word counts, a mirror's only when the registry is out of reach.
    func root(_ reference: ManifestReference) async throws -> ManifestContent {
        guard case .tag = reference, !client.mirrors.isEmpty else { return try await manifest(reference) }
        do {
            guard let named = try await client.resolve(repository, reference, scope: scope, task: "pulling") else {
                return try await client.fetchManifest(repository, reference, scope: scope, task: task)
            }
            return try await manifest(.digest(named.digest))
        } catch let error as RegistryError where error.code == .unreachable || error.code == .rateLimited {
            return try await fromAny(sources) { try await $0.fetchManifest(repository, reference, scope: scope, task: task) }
        }
    }

    /// Asks one source after the other; the failures of all but the last are only logged.
    func fromAny<T>(_ sources: [RegistryClient], _ ask: (RegistryClient) async throws -> T) async throws -> T {
        for mirror in sources.dropLast() {
            do { return try await ask(mirror) } catch let error as RegistryError {
                client.transport.logger.info("mirror \(mirror.host): \(error)")
            }
        }
        return try await ask(sources.last ?? client)
    }

    /// From the store when it is there by digest, else from the registry or a mirror.
    func manifest(_ reference: ManifestReference) async throws -> ManifestContent {
        if case .digest(let digest) = reference, try await store.renew(digest) != nil,
            let bytes = try? await store.read(digest, limit: RegistryClient.manifestLimit)
        {
            return try ManifestContent(bytes, mediaType: nil, algorithm: digest.algorithm)
        }
        return try await fromAny(sources) { try await $0.fetchManifest(repository, reference, scope: scope, task: task) }
    }

    func select(_ platform: Platform, from content: ManifestContent) async throws -> ManifestContent {
        guard case .index(let index) = content.kind else { return content }
        let chosen = try index.image(for: platform, task: task)
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
            for layer in manifest.layers where ManifestContent.isForeign(layer) { try await foreignLayer(layer) }
        }
        _ = try await store.write(content.bytes, expecting: content.digest)
        try await store.record(manifest: content.digest, mediaType: content.mediaType, in: name)
    }
}
