import Foundation
import ImageStore
import Logging
import OCIModel
import PipelineEngine
import RegistryClient
import SystemPackage

/// The registries outside: how each is reached, with credentials from Docker's `config.json`.
struct OutsideRegistries: Registries {
    let credentials: DockerConfig?
    let settings: RegistryFile
    let connections: RegistryConnections
    let logger: Logger

    /// - Parameters:
    ///   - configFile: must exist when given; nil looks where docker does, which may be missing:
    ///     `config.json` in `$DOCKER_CONFIG` or in `~/.docker`.
    ///   - settings: of single registries.
    ///   - connections: lent.
    init(
        configFile: String?, settings: RegistryFile, environment: [String: String], connections: RegistryConnections,
        logger: Logger
    ) throws {
        let folder = environment["DOCKER_CONFIG"] ?? environment["HOME"].map { "\($0)/.docker" }
        let usual = folder.map { "\($0)/config.json" }.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil }
        credentials = try (configFile ?? usual).map {
            try DockerConfig(file: FilePath($0), helperPath: environment["PATH"] ?? DockerConfig.usualPath)
        }
        self.settings = settings
        self.connections = connections
        self.logger = logger
    }

    /// - Throws: ``RegistryError`` with code `invalidSettings` when a certificate of its settings cannot be read.
    func registry(_ host: String, credentials given: RegistryCredentials? = nil) throws -> RegistryClient {
        let own = settings[host]
        let mirrors = try own.mirrors.map { mirror in
            try RegistryClient(
                host: mirror, settings: settings[mirror], dockerConfig: credentials, connections: connections, logger: logger,
                retry: RetryPolicy(attempts: 2))
        }
        return try RegistryClient(
            host: host, settings: own, credentials: given, dockerConfig: credentials, mirrors: mirrors,
            connections: connections, logger: logger)
    }

    func pull(_ reference: ImageReference, into store: ImageStore) async throws -> Digest {
        try await sayingWhatMayPass { try await pull(reference, into: store, progress: nil) }
    }

    /// Pulls and says how far it is.
    func pull(
        _ reference: ImageReference, into store: ImageStore, progress: (@Sendable (RegistryProgress) -> Void)?
    ) async throws -> Digest {
        guard let host = reference.registry else {
            throw EngineError(.imageMissing, "\(reference) names no registry", hint: "write HOST/\(reference)")
        }
        let wanted: ManifestReference =
            if let digest = reference.digest { .digest(digest) } else { .tag(try reference.tag ?? Tag(parsing: "latest")) }
        let name = try RepositoryName(parsing: reference.repository.rawValue)
        return try await registry(host).pull(reference.repository, wanted, into: store, as: name, progress: progress)
    }

    func uploads(from store: ImageStore, to reference: ImageReference, base: ImageReference?) throws -> LayerUploads? {
        guard let host = reference.registry else { return nil }
        let sibling = base.flatMap { $0.registry == host && $0.repository != reference.repository ? $0.repository : nil }
        return LayerUploads(
            try registry(host), from: store, to: reference.repository, tag: reference.tag, mountFrom: sibling)
    }

    func push(
        _ image: Digest, from store: ImageStore, to reference: ImageReference, ahead: LayerUploads?,
        mayTag: @escaping @Sendable () throws -> Void
    ) async throws {
        guard let host = reference.registry else {
            throw EngineError(.imageMissing, "\(reference) names no registry", hint: "write HOST/\(reference)")
        }
        try await sayingWhatMayPass {
            _ = try await (ahead?.client ?? registry(host)).push(
                image, from: store, to: reference.repository, tag: reference.tag, ahead: ahead, mayTag: mayTag)
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
