import Foundation
import Testing

/// The direction of the house: a room imports only from lower layers, or from its own where the arrow is named here.
@Suite struct ModuleGraphTests {
    static let layers: [String: Int] = [
        "CIsal": 0, "CLibarchive": 0, "CLibgit2": 0, "CLinux": 0, "CPostgres": 0, "CZstd": 0, "BlockingQueue": 0, "Diagnostics": 0, "OCIModel": 0,
        "DeliveryModel": 1, "GitRepository": 1, "TarArchive": 1, "ImageStore": 1, "RegistryClient": 1, "Containerfile": 1,
        "ImageBuilder": 2, "RegistryServer": 2, "ContainerRuntime": 2, "PipelineFile": 2, "StateStore": 2,
        "Deployer": 2, "ContainerfileBuild": 2, "LoadGenerator": 2,
        "StatePostgres": 3, "StateSQLite": 3, "PipelineEngine": 3,
        "WebAssets": 3, "WebServer": 4, "slipway": 5,
    ]
    static let sameLayer: Set<[String]> = [
        ["ImageStore", "TarArchive"], ["RegistryClient", "ImageStore"], ["RegistryClient", "TarArchive"], ["Deployer", "ContainerRuntime"],
        ["ContainerfileBuild", "ContainerRuntime"],
    ]
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test func everyRoomImportsOnlyDownwards() throws {
        let sources = Self.root.appendingPathComponent("Sources")
        var edges = 0
        for room in try FileManager.default.contentsOfDirectory(atPath: sources.path) {
            let layer = try #require(Self.layers[room], "Sources/\(room) has no layer in this test")
            let folder = sources.appendingPathComponent(room)
            for case let file as URL in FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil) ?? .init()
            where file.pathExtension == "swift" {
                for imported in try Self.imports(of: file) where imported != room {
                    guard let below = Self.layers[imported] else { continue }
                    edges += 1
                    let isAllowed = below < layer || Self.sameLayer.contains([room, imported])
                    #expect(isAllowed, "\(room) may not import \(imported): \(file.lastPathComponent)")
                }
            }
        }
        #expect(edges > 50)
    }

    /// The package of the fuzz targets links to the rooms it needs; none of those may need a room that it has not.
    @Test func whatIsFuzzedIsThereWhole() throws {
        let links = Self.root.appendingPathComponent("Fuzz/Sources")
        let rooms = Set(try FileManager.default.contentsOfDirectory(atPath: links.path))
        #expect(rooms.contains("TarArchive") && rooms.contains("Containerfile"))
        let manifest = try String(contentsOf: Self.root.appendingPathComponent("Fuzz/Package.swift"), encoding: .utf8)
        for room in rooms {
            #expect(manifest.contains("\"\(room)\""), "Fuzz/Package.swift does not know \(room)")
            let folder = Self.root.appendingPathComponent("Sources/\(room)")
            for case let file as URL in FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil) ?? .init()
            where file.pathExtension == "swift" {
                for imported in try Self.imports(of: file) where Self.layers[imported] != nil {
                    #expect(rooms.contains(imported), "\(room) needs \(imported), which Fuzz/Sources does not link to")
                }
            }
        }
    }

    private static func imports(of file: URL) throws -> [String] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index <= 1, words.count > index + 1 else { return nil }
            return String(words.last ?? "").split(separator: ".").first.map(String.init)
        }
    }
}
