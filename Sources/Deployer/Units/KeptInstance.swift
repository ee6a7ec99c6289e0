import ContainerRuntime
import FoundationEssentials
import OCIModel
import SystemPackage

/// What a unit needs to start an instance without a server. It is there as long as the instance is wanted.
struct KeptInstance: Codable {
    /// What a container is made of, environment and all.
    struct Plan: Codable {
        var spec: ContainerSpec
        var containers: FilePath
        var settings: RuntimeSettings
    }

    static let version = 1

    var version = Self.version
    /// Whose it is.
    var deployment: String
    /// Where it was reached last, and where the router looks for it.
    var address: String?
    /// The text of the unit that is in force; nil while it is being made.
    var unit: String?
    /// A ``Plan``, sealed.
    var plan: Data
}

/// The files of kept instances: `<id>.json`, in a folder of the data directory. They change while nobody else starts or removes
/// the container (``ContainerRuntime/alone(with:_:)``). File work that blocks for a moment; call it on a `BlockingQueue`.
struct KeptInstances: Sendable {
    let folder: FilePath
    let sealing: Sealing

    private func file(_ id: String) -> FilePath { folder.appending("\(id).json") }

    func isThere(_ id: String) -> Bool { ContainerSpec.isValid(id: id) && AtomicFile.exists(file(id)) }

    func ids() -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? []
        return names.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
            .filter { ContainerSpec.isValid(id: $0) && $0 != KeptRouter.name }.sorted()
    }

    /// Nil: not wanted.
    func load(_ id: String) throws(DeployerError) -> KeptInstance? {
        guard ContainerSpec.isValid(id: id) else { return nil }
        do {
            guard let bytes = try AtomicFile.read(file(id), limit: 16 << 20) else { return nil }
            let kept = try JSONDecoder().decode(KeptInstance.self, from: Data(bytes))
            guard kept.version == KeptInstance.version else { throw unreadable(id, "it is of another version of slipway") }
            return kept
        } catch let error as DeployerError { throw error } catch { throw unreadable(id, "\(error)") }
    }

    /// Nil also when it cannot be read.
    func readable(_ id: String) -> KeptInstance? { (try? load(id)) ?? nil }

    func save(_ kept: KeptInstance, as id: String) throws(DeployerError) {
        do {
            try AtomicFile.makeFolder(folder)
            try AtomicFile.write(try OCIJSON.encode(kept), to: file(id))
        } catch {
            throw DeployerError(
                .stateUnusable, "\(file(id)) cannot be written: \(error)", hint: "check free space and permissions of the folder")
        }
    }

    /// Not there is fine.
    func remove(_ id: String) throws(DeployerError) {
        do { try AtomicFile.remove(file(id)) } catch {
            throw DeployerError(.stateUnusable, "\(file(id)) cannot be removed: \(error)", hint: "check permissions of the folder")
        }
    }

    func seal(_ plan: KeptInstance.Plan) throws -> Data {
        let text = String(decoding: try OCIJSON.encode(plan), as: UTF8.self)
        return Data(try sealing.seal(text, Self.context(plan.spec.id)))
    }

    func plan(of kept: KeptInstance, _ id: String) throws -> KeptInstance.Plan {
        let text = try sealing.open(Array(kept.plan), Self.context(id))
        do { return try JSONDecoder().decode(KeptInstance.Plan.self, from: Data(text.utf8)) } catch { throw unreadable(id, "\(error)") }
    }

    private static func context(_ id: String) -> String { "instance \(id)" }

    private func unreadable(_ id: String, _ why: String) -> DeployerError {
        DeployerError(.stateUnusable, "\(file(id)) cannot be read: \(why)", hint: "start the server: it begins the instance anew")
    }
}
