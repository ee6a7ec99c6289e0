import AsyncHTTPClient
public import ImageStore
import NIOCore
import NIOHTTP1
public import OCIModel
import Synchronization

/// What a push did.
public struct PushResult: Sendable, Hashable {
    /// The image or index, as others can refer to it from now on.
    public var digest: Digest
    public var blobsUploaded = 0
    /// Blobs the registry had or mounted from another repository.
    public var blobsAlreadyThere = 0
    public var bytesUploaded: Int64 = 0
    /// True when one question was enough: the tag named this digest before.
    public var wasUpToDate = false
}

extension RegistryClient {
    /// Pushes an image or index from the store: blobs (in parallel, those missing only), manifests by digest with
    /// children first, the tag last. Safe to repeat after any failure.
    ///
    /// - Parameters:
    ///   - tag: nil pushes by digest only; see ``tag(_:as:in:from:)`` to name it later.
    ///   - mountFrom: a repository of the same registry that may share its blobs.
    ///   - ahead: what was sent while the image was built; waited for, and not sent again.
    ///   - progress: called per chunk, from several tasks at once.
    ///   - mayTag: called right before the tag is sent; what it throws ends the push without.
    public func push(
        _ image: Digest, from store: ImageStore, to repository: RepositoryName, tag: Tag?,
        mountFrom: RepositoryName? = nil, ahead: LayerUploads? = nil,
        progress: (@Sendable (RegistryProgress) -> Void)? = nil, mayTag: (@Sendable () throws -> Void)? = nil
    ) async throws -> PushResult {
        try await push(
            image, from: StoreSource(store: store), to: repository, tag: tag, mountFrom: mountFrom, ahead: ahead,
            mayTag: mayTag, task: "pushing", progress: progress)
    }

    func push(
        _ image: Digest, from source: any PushSource, to repository: RepositoryName, tag: Tag?, mountFrom: RepositoryName?,
        ahead: LayerUploads? = nil, mayTag: (@Sendable () throws -> Void)? = nil, task: String,
        progress: (@Sendable (RegistryProgress) -> Void)?
    ) async throws -> PushResult {
        let reference: ManifestReference = tag.map { .tag($0) } ?? .digest(image)
        let scope = Scope.push(repository.rawValue, mounting: mountFrom?.rawValue)
        async let there = ahead?.arrived() ?? []
        var push = Push(
            client: self, source: source, repository: repository, scope: scope, mountFrom: mountFrom,
            task: "\(task) \(host)/\(repository)\(reference)", progress: progress, result: PushTally(image))
        if try await resolve(repository, reference, scope: scope, task: task)?.digest == image {
            return PushResult(digest: image, wasUpToDate: true)
        }
        var isThere = false
        if tag != nil, ahead?.bringsNews != true { isThere = try await resolve(repository, .digest(image), scope: scope, task: task) != nil }
        push.there = await there
        if !isThere {
            do { try await push.tree(image, depth: 0) } catch let error as RegistryError
                where !push.there.isEmpty && [400, 404].contains(error.status)
            {
                // A blob was removed since it was seen: every one is asked for.
                push.there = []
                try await push.tree(image, depth: 0)
            }
        }
        if tag != nil {
            let content = try await push.content(image)
            try mayTag?()
            try await push.manifest(content, as: reference)
        }
        return push.result.value
    }

    /// Lets a tag name a manifest that the repository has already, for instance after its evidence was pushed.
    public func tag(_ image: Digest, as tag: Tag, in repository: RepositoryName, from store: ImageStore) async throws {
        let push = Push(
            client: self, source: StoreSource(store: store), repository: repository, scope: .push(repository.rawValue),
            mountFrom: nil, task: "tagging \(host)/\(repository):\(tag)", progress: nil, result: PushTally(image))
        try await push.manifest(try await push.content(image), as: .tag(tag))
    }
}

final class PushTally: Sendable {
    private let state: Mutex<PushResult>
    init(_ image: Digest) { state = Mutex(PushResult(digest: image)) }
    var value: PushResult { state.withLock { $0 } }
    func uploaded(_ bytes: Int64) {
        state.withLock {
            $0.blobsUploaded += 1; $0.bytesUploaded += bytes
        }
    }
    func alreadyThere() { state.withLock { $0.blobsAlreadyThere += 1 } }
}

/// One push on its way.
struct Push: Sendable {
    let client: RegistryClient
    let source: any PushSource
    let repository: RepositoryName
    var scope: Scope
    /// Asked for by the caller; else the repository of the image's base, see ``baseRepository(_:)``.
    var mountFrom: RepositoryName?
    /// Blobs that need not be asked for.
    var there: Set<Digest> = []
    let task: String
    let progress: (@Sendable (RegistryProgress) -> Void)?
    let result: PushTally

    var transport: Transport { client.transport }

    func content(_ digest: Digest) async throws -> ManifestContent {
        try ManifestContent(try await read(digest), mediaType: nil, algorithm: digest.algorithm)
    }

    /// Pushes a manifest by digest, after everything it refers to.
    func tree(_ digest: Digest, depth: Int) async throws {
        guard depth < 8 else {
            throw RegistryError(.unsupported, "\(task): indexes are nested too deep", hint: "push the inner image itself")
        }
        let content = try await self.content(digest)
        switch content.kind {
        case .index(let index):
            for child in index.manifests
            where try await client.resolve(repository, .digest(child.digest), scope: scope, task: "pushing") == nil {
                try await tree(child.digest, depth: depth + 1)
            }
        case .image(let manifest):
            var push = self
            if mountFrom == nil, let base = baseRepository(manifest) {
                push.mountFrom = base
                push.scope = .push(repository.rawValue, mounting: base.rawValue)
            }
            try await forEachConcurrently(ManifestContent.blobs(of: manifest), width: RegistryClient.parallelBlobs) {
                [push] in try await push.blob($0)
            }
        }
        let isListed = try await self.manifest(content, as: .digest(digest))
        if let subject = content.subject, !isListed { try await refer(content, to: subject) }
    }

    /// Where this registry may have the blobs of the image this one was built on (image-spec, annotations.md).
    private func baseRepository(_ manifest: Manifest) -> RepositoryName? {
        guard let name = manifest.annotations?["org.opencontainers.image.base.name"],
            let base = try? ImageReference(parsing: name), base.registry == client.host, base.repository != repository
        else { return nil }
        return base.repository
    }

    /// - Returns: whether the registry noted the manifest's subject itself (distribution-spec, "Pushing Manifests with Subject").
    @discardableResult
    func manifest(_ content: ManifestContent, as reference: ManifestReference) async throws -> Bool {
        guard content.bytes.count <= RegistryClient.manifestLimit else {
            throw RegistryError(
                .sizeMismatch, "\(task): the manifest \(content.digest) has \(content.bytes.count) bytes",
                hint: "registries take up to \(RegistryClient.manifestLimit) bytes; use fewer or shorter annotations")
        }
        var request = client.request(.PUT, repository, "manifests/\(reference.path)", scope)
        request.task = task
        request.headers = ["Content-Type": content.mediaType]
        request.body = .bytes(content.bytes)
        let response = try await transport.send(request)
        guard (200..<300).contains(response.status.code) else { throw await transport.failure(response, task) }
        await transport.drain(response)
        if let text = response.headers.first(name: "Docker-Content-Digest"), text != content.digest.description {
            throw RegistryError(
                .digestMismatch, "\(task): the registry stored \(text.prefix(100)) for \(content.digest)",
                hint: "the registry rewrites manifests; it cannot be used for promotion by digest")
        }
        return response.headers.contains(name: "OCI-Subject")
    }

    func read(_ digest: Digest) async throws -> [UInt8] { try await source.manifest(digest, task: task) }
}
