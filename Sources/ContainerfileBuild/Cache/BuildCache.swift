import FoundationEssentials
import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// What instructions made, by everything they depend on: `<folder>/<key hex>.json`. Only a cache: what is damaged or
/// gone counts as absent.
struct BuildCache: Sendable {
    /// What an instruction added to the file tree.
    struct Record: Codable, Sendable, Hashable {
        /// nil: nothing was written.
        var layer: BuiltLayer?
    }

    let folder: FilePath
    let store: ImageStore

    /// The record of a key when its layer is still in the store.
    /// It is renewed: a garbage collection leaves it alone until the build is over.
    func record(_ key: Digest) async throws -> Record? {
        guard let bytes = try? Data(contentsOf: URL(filePath: path(key).string)),
            let record = try? OCIJSON.decode(Record.self, from: Array(bytes))
        else { return nil }
        if let layer = record.layer, try await store.renew(layer.descriptor.digest) != layer.descriptor.size { return nil }
        return record
    }

    func put(_ record: Record, for key: Digest) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
            try Data(OCIJSON.encode(record)).write(to: URL(filePath: path(key).string), options: .atomic)
        } catch {
            throw ContainerfileBuildError(.failed, "cannot write the build cache \(folder): \(error)", hint: "check the data directory")
        }
    }

    private func path(_ key: Digest) -> FilePath { folder.appending("\(key.hex).json") }
}

/// Collects what an instruction depends on. Every part has a name and a length, so that no two lists are alike.
struct CacheKey {
    private var hasher = Digest.Hasher()

    /// Changes when the meaning of keys, or of what they lead to, changes.
    static let version = "slipway-build-1"

    init(_ instruction: String, below layers: [BuiltLayer], for request: ContainerfileBuildRequest) {
        add("version", Self.version)
        add("time", "\(request.timestamp)")
        add("compression", request.compression.identity)
        add("instruction", instruction)
        add("layers", layers.map(\.diffID.description))
    }

    mutating func add(_ name: String, _ value: String) {
        add(name, [value])
    }

    mutating func add(_ name: String, _ values: [String]) {
        var bytes = Array("\(name.utf8.count):\(name)[\(values.count)]".utf8)
        for value in values {
            bytes += Array("\(value.utf8.count):".utf8)
            bytes += Array(value.utf8)
        }
        hasher.update(bytes)
    }

    mutating func add(_ name: String, _ digest: Digest) { add(name, digest.description) }

    func digest() -> Digest { hasher.finalize() }
}
