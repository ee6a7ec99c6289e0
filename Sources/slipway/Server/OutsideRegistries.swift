import AsyncHTTPClient
import Foundation
import ImageStore
import Logging
import NIOCore
import OCIModel
import PipelineEngine
import RegistryClient
import SystemPackage

/// The registries outside, with credentials from Docker's `config.json`.
struct OutsideRegistries: Registries {
    let credentials: DockerConfig?
    let client: HTTPClient
    let logger: Logger

    /// - Parameter configFile: must exist when given; nil looks where docker does, which may be missing:
    ///   `config.json` in `$DOCKER_CONFIG` or in `~/.docker`.
    init(configFile: String?, environment: [String: String], client: HTTPClient, logger: Logger) throws {
        let folder = environment["DOCKER_CONFIG"] ?? environment["HOME"].map { "\($0)/.docker" }
        let usual = folder.map { "\($0)/config.json" }.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil }
        credentials = try (configFile ?? usual).map { try DockerConfig(file: FilePath($0)) }
        self.client = client
        self.logger = logger
    }

    func registry(_ host: String, credentials given: RegistryCredentials? = nil) -> RegistryClient {
        RegistryClient(
            host: host, credentials: given ?? credentials?.credentials(for: host), httpClient: client, logger: logger)
    }

    /// One way to talk to registries, for the server and the commands. The client must be shut down.
    static func makeClient() -> HTTPClient {
        // A health path that redirects must not be judged by the page behind it.
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(5), read: .seconds(60))
        // A refused connection is said at once; how patiently to ask again is decided by who asks.
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(configuration: configuration)
    }

    func pull(_ reference: ImageReference, into store: ImageStore) async throws -> Digest {
        guard let host = reference.registry else {
            throw EngineError(.imageMissing, "\(reference) names no registry", hint: "write HOST/\(reference)")
        }
        let wanted: ManifestReference =
            if let digest = reference.digest { .digest(digest) } else { .tag(try reference.tag ?? Tag(parsing: "latest")) }
        let name = try RepositoryName(parsing: reference.repository.rawValue)
        return try await sayingWhatMayPass {
            try await registry(host).pull(reference.repository, wanted, into: store, as: name)
        }
    }

    func push(_ image: Digest, from store: ImageStore, to reference: ImageReference) async throws {
        guard let host = reference.registry else {
            throw EngineError(.imageMissing, "\(reference) names no registry", hint: "write HOST/\(reference)")
        }
        try await sayingWhatMayPass {
            _ = try await registry(host).push(image, from: store, to: reference.repository, tag: reference.tag)
        }
    }

    private func sayingWhatMayPass<T>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch let error as RegistryError
            where error.code == .unreachable || error.code == .rateLimited
        {
            throw EngineError(.registryUnreachable, error.message, hint: error.hint)
        }
    }
}
