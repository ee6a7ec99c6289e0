import AsyncHTTPClient
import Foundation
import ImageStore
import Logging
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

    func pull(_ reference: ImageReference, into store: ImageStore) async throws -> Digest {
        guard let host = reference.registry else {
            throw EngineError(.imageMissing, "\(reference) names no registry", hint: "write HOST/\(reference)")
        }
        let wanted: ManifestReference =
            if let digest = reference.digest { .digest(digest) } else { .tag(try reference.tag ?? Tag(parsing: "latest")) }
        let name = try RepositoryName(parsing: reference.repository.rawValue)
        return try await registry(host).pull(reference.repository, wanted, into: store, as: name)
    }

    func push(_ image: Digest, from store: ImageStore, to reference: ImageReference) async throws {
        guard let host = reference.registry else {
            throw EngineError(.imageMissing, "\(reference) names no registry", hint: "write HOST/\(reference)")
        }
        _ = try await registry(host).push(image, from: store, to: reference.repository, tag: reference.tag)
    }
}
