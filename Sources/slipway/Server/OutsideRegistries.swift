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

    /// - Parameter configFile: nil looks at `~/.docker/config.json`, which may be missing.
    init(configFile: String?, home: String?, client: HTTPClient, logger: Logger) throws {
        if let configFile {
            credentials = try DockerConfig(file: FilePath(configFile))
        } else if let home, FileManager.default.fileExists(atPath: "\(home)/.docker/config.json") {
            credentials = try DockerConfig(file: FilePath("\(home)/.docker/config.json"))
        } else {
            credentials = nil
        }
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
