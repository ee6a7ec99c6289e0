import FoundationEssentials
import OCIModel
public import SystemPackage

/// What the router's unit needs to start it without a server. It is there as long as the router is wanted.
public struct KeptRouter: Codable, Hashable, Sendable {
    /// As the setting `router.kind` says.
    public var kind: String
    /// The router's own folder.
    public var folder: FilePath
    public var settings: RouterSettings

    static let name = "router"

    public init(kind: String, folder: FilePath, settings: RouterSettings) {
        self.kind = kind
        self.folder = folder
        self.settings = settings
    }

    private static func file(_ units: FilePath) -> FilePath { units.appending("\(name).json") }

    /// - Parameter units: the folder of ``InstanceUnits``.
    /// - Returns: nil when no router is wanted.
    public static func load(from units: FilePath) throws(DeployerError) -> KeptRouter? {
        do {
            guard let bytes = try AtomicFile.read(file(units)) else { return nil }
            return try JSONDecoder().decode(KeptRouter.self, from: Data(bytes))
        } catch {
            throw DeployerError(.stateUnusable, "\(file(units)) cannot be read: \(error)", hint: "start the server: it writes it anew")
        }
    }

    func save(in units: FilePath) throws {
        try AtomicFile.makeFolder(units)
        try AtomicFile.write(try OCIJSON.encode(self), to: Self.file(units))
    }

    static func remove(from units: FilePath) throws { try AtomicFile.remove(file(units)) }
}
