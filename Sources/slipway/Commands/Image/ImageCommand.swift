import ArgumentParser
import AsyncHTTPClient
import Foundation
import ImageBuilder
import ImageStore
import Logging
import OCIModel
import RegistryClient
import SystemPackage
import TarArchive

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "Build, move and look into images. Needs no server.",
        subcommands: [
            Build.self, Import.self, Export.self, Push.self, Pull.self, Copy.self, Inspect.self, Rebase.self, GC.self,
        ])
}

/// The store the image commands work on.
struct StoreOption: ParsableArguments {
    @Option(help: "The data directory (default: SLIPWAY_DATA, or \(ServerSettings.defaultData)).") var data: String?
    @Flag(help: "Print one JSON document.") var json = false

    var folder: FilePath { absolute(data ?? ProcessInfo.processInfo.environment["SLIPWAY_DATA"] ?? ServerSettings.defaultData) }

    func open() throws -> ImageStore {
        var store = try ImageStore(root: folder)
        store.limits = try LayerLimits.read(environment: ProcessInfo.processInfo.environment)
        return store
    }

    /// The manifest a name stands for in the store.
    func find(_ name: String, in store: ImageStore) async throws -> (reference: ImageReference, digest: Digest) {
        let reference = try ImageReference(parsing: name)
        guard let found = try await store.resolve(reference) else {
            throw Failure("\(reference) is not in the store", hint: "import it with: slipway image import FILE \(reference)")
        }
        return (reference, found.digest)
    }

    func report(_ text: String, digest: Digest, reference: ImageReference) throws {
        struct Value: Encodable {
            var reference: String
            var digest: String
        }
        if json { return try printJSON(Value(reference: "\(reference)", digest: "\(digest)")) }
        print("\(text) \(reference)\n\(digest)")
    }
}

func absolute(_ path: String) -> FilePath { FilePath(URL(fileURLWithPath: path).standardizedFileURL.path) }

/// Lends the registries outside, with Docker's credentials and the settings of `SLIPWAY_CONFIG`, to a command.
func withRegistries<T>(_ body: (OutsideRegistries) async throws -> T) async throws -> T {
    do {
        let environment = ProcessInfo.processInfo.environment
        let connections = RegistryConnections(proxies: try ProxySettings(environment: environment))
        do {
            let result = try await body(
                OutsideRegistries(
                    configFile: nil, settings: try environment["SLIPWAY_CONFIG"].map { try RegistryFile(file: $0) } ?? .none,
                    environment: environment, connections: connections,
                    logger: Logger(label: "slipway") { _ in SwiftLogNoOpLogHandler() }))
            try await connections.shutdown()
            return result
        } catch {
            try? await connections.shutdown()
            throw error
        }
    } catch let error as RegistryError {
        let status =
            switch error.code {
            case .unauthorized, .denied: Failure.refused
            case .unreachable, .rateLimited: Failure.unreachable
            case .invalidSettings: Failure.usage
            default: Failure.failed
            }
        throw Failure(error.message, hint: error.hint, status: status)
    }
}
