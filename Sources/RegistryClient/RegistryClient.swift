import AsyncHTTPClient
public import Logging
import NIOHTTP1
public import OCIModel

/// A client of one OCI registry (distribution-spec 1.1). A value: copies share connections and tokens.
///
/// Everything is streamed with bounded memory and verified against digest and size. Failures that may pass are
/// repeated by ``RetryPolicy``. Cancelling the task ends the transfer.
public struct RegistryClient: Sendable {
    /// `host[:port]` as in image references.
    public let host: String
    let transport: Transport
    let chunks: ChunkPolicy
    let mirrors: [RegistryClient]

    /// How many blobs travel at once.
    static let parallelBlobs = 4
    static let manifestLimit = 4 << 20

    /// - Parameters:
    ///   - host: `host[:port]`; `docker.io` stands for its registry host.
    ///   - settings: how the registry is reached.
    ///   - credentials: who we are there; nil: as `dockerConfig` says, else anonymous.
    ///   - dockerConfig: asked when the registry wants a login.
    ///   - mirrors: asked first when pulling, see ``RegistrySettings/mirrors``.
    ///   - connections: lent; their owner shuts them down.
    ///   - retry: how patiently to repeat.
    /// - Throws: ``RegistryError`` with code `invalidSettings` when a certificate cannot be read.
    public init(
        host: String, settings: RegistrySettings = RegistrySettings(), credentials: RegistryCredentials? = nil,
        dockerConfig: DockerConfig? = nil, mirrors: [RegistryClient] = [], connections: RegistryConnections, logger: Logger,
        retry: RetryPolicy = RetryPolicy()
    ) throws {
        self.host = host
        self.mirrors = mirrors
        chunks = ChunkPolicy(size: settings.chunkSize)
        let address = ["docker.io", "index.docker.io"].contains(host) ? "registry-1.docker.io" : host
        let name = address.hasPrefix("[") ? String(address.prefix { $0 != "]" }) + "]" : String(address.prefix { $0 != ":" })
        let base = "\(settings.plainHTTP ?? Transport.isLoopback(name) ? "http" : "https")://\(address)"
        let lookup = dockerConfig.map { config -> Authenticator.Lookup in { try await config.login(at: host) } }
        transport = Transport(
            host: host, origin: Transport.origin(of: base) ?? base, connections: connections,
            tls: try RegistryTLS.configuration(settings, host: host),
            addresses: AddressGuard(
                registryHost: name.hasPrefix("[") ? String(name.dropFirst().dropLast()) : name,
                allowsPrivate: settings.allowsPrivateAddresses),
            authenticator: Authenticator(credentials: credentials, lookup: lookup), retry: retry, logger: logger)
    }

    /// What a tag or digest names now; nil when the registry has no such manifest.
    public func resolve(_ repository: RepositoryName, _ reference: ManifestReference) async throws -> Descriptor? {
        try await resolve(repository, reference, scope: .pull(repository.rawValue), task: "resolving")
    }

    /// What a tag names now; nil when the registry has no such tag.
    public func resolve(repository: RepositoryName, tag: Tag) async throws -> Descriptor? {
        try await resolve(repository, .tag(tag))
    }

    func resolve(
        _ repository: RepositoryName, _ reference: ManifestReference, scope: Scope, task: String
    ) async throws -> Descriptor? {
        var request = self.request(.HEAD, repository, "manifests/\(reference.path)", scope)
        request.task = "\(task) \(host)/\(repository)\(reference)"
        request.headers = Self.acceptManifests
        let response = try await transport.send(request)
        guard response.status == .ok || response.status == .notFound else {
            throw await transport.failure(response, request.task)
        }
        await transport.drain(response)
        if response.status == .notFound { return nil }
        guard let type = response.headers.first(name: "Content-Type").map({ String($0.prefix { $0 != ";" }) }),
            let size = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }),
            let text = response.headers.first(name: "Docker-Content-Digest"), let digest = try? Digest(parsing: text)
        else {
            // The header is optional in the specification: fetch and hash.
            let found = try await fetchManifest(repository, reference, scope: scope)
            return Descriptor(mediaType: found.mediaType, digest: found.digest, size: Int64(found.bytes.count))
        }
        if case .digest(let asked) = reference, asked != digest {
            throw RegistryError(
                .digestMismatch, "\(request.task): the registry answered for \(digest)", hint: "do not trust this registry")
        }
        return Descriptor(mediaType: type, digest: digest, size: size)
    }

    /// The size in bytes of a blob the repository has; nil when it has not.
    public func size(of blob: Digest, in repository: RepositoryName) async throws -> Int64? {
        try await size(of: blob, in: repository, scope: .pull(repository.rawValue), task: "looking into \(host)/\(repository)")
    }

    func size(of blob: Digest, in repository: RepositoryName, scope: Scope, task: String) async throws -> Int64? {
        var request = self.request(.HEAD, repository, "blobs/\(blob)", scope)
        request.task = task
        let response = try await transport.send(request)
        guard response.status == .ok || response.status == .notFound else { throw await transport.failure(response, task) }
        await transport.drain(response)
        guard response.status == .ok else { return nil }
        return response.headers.first(name: "Content-Length").flatMap { Int64($0) } ?? 0
    }

    func request(_ method: HTTPMethod, _ repository: RepositoryName, _ path: String, _ scope: Scope) -> Outgoing {
        Outgoing(
            method: method, url: "\(transport.origin)/v2/\(repository)/\(path)", scope: scope,
            task: "\(host)/\(repository)")
    }

    static let acceptManifests: HTTPHeaders = [
        "Accept": [
            MediaType.ociManifest, MediaType.ociIndex, MediaType.dockerManifest, MediaType.dockerManifestList,
        ].joined(separator: ", ")
    ]
}

/// What names a manifest in a repository.
public enum ManifestReference: Sendable, Hashable, CustomStringConvertible {
    case tag(Tag)
    case digest(Digest)

    /// With its separator, as in `shop/gtin:1` or `shop/gtin@sha256:…`.
    public var description: String {
        switch self {
        case .tag(let tag): ":\(tag)"
        case .digest(let digest): "@\(digest)"
        }
    }

    var path: String {
        switch self {
        case .tag(let tag): tag.rawValue
        case .digest(let digest): digest.description
        }
    }
}

/// How far one blob is. Called from several tasks at once.
public struct RegistryProgress: Sendable, Hashable {
    public enum Step: Sendable, Hashable {
        /// Bytes are travelling.
        case transferring
        /// All bytes arrived.
        case done
        /// Nothing had to travel.
        case alreadyThere
    }
    public let digest: Digest
    public let step: Step
    /// Bytes of this blob so far, of ``total``. A retry begins again.
    public let completed: Int64
    public let total: Int64
}
