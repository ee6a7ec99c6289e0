import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// The folders and symbolic links of the base image. A layer that writes `/bin/tool` over a base where `/bin` is a
/// link to `usr/bin` must hold `usr/bin/tool`, and `/tmp` must stay 1777.
struct BaseTree {
    struct Folder: Codable, Sendable {
        let mode: UInt16
        let uid: UInt32
        let gid: UInt32
    }

    private(set) var folders: [String: Folder] = [:]
    private(set) var links: [String: String] = [:]
    private var resolved: [String: String] = ["": ""]

    /// What one layer says; kept on disk per layer, as reading a large base takes longer than building on it.
    struct LayerIndex: Codable, Sendable {
        var folders: [String: Folder] = [:]
        var links: [String: String] = [:]
        var hidden: [String] = []
        var opaque: [String] = []

        /// Reads a layer and verifies it against its diffID. Blocking.
        init(layer: FilePath, expecting diffID: Digest) throws {
            var index = LayerIndex()
            let found = try TarReader.read(layer, algorithm: diffID.algorithm) { entry, _ in
                let names = entry.path.components.filter { $0.kind == .regular }.map(\.string)
                guard let name = names.last else { return }
                let path = names.joined(separator: "/")
                let parent = names.dropLast().joined(separator: "/")
                if name == ".wh..wh..opq" {
                    index.opaque.append(parent)
                } else if name.hasPrefix(".wh."), !name.hasPrefix(".wh..wh.") {
                    index.hidden.append(parent.isEmpty ? String(name.dropFirst(4)) : "\(parent)/\(name.dropFirst(4))")
                } else if case .directory = entry.kind {
                    index.folders[path] = Folder(mode: entry.mode, uid: entry.uid, gid: entry.gid)
                    index.links[path] = nil
                } else if case .symlink(let target) = entry.kind {
                    index.links[path] = target.string
                    index.folders[path] = nil
                }
            }
            guard found.diffID == diffID else {
                throw ImageStoreError(
                    code: .digestMismatch, message: "a base layer has diffID \(found.diffID), its config says \(diffID)",
                    hint: "the base image is damaged; pull it again")
            }
            self = index
        }

        private init() {}
    }

    mutating func add(_ layer: LayerIndex) {
        for path in layer.opaque { removeBelow(path) }
        for path in layer.hidden {
            folders[path] = nil
            links[path] = nil
            removeBelow(path)
        }
        for (path, folder) in layer.folders {
            folders[path] = folder
            links[path] = nil
        }
        for (path, target) in layer.links {
            links[path] = target
            if folders.removeValue(forKey: path) != nil { removeBelow(path) }
        }
    }

    private mutating func removeBelow(_ path: String) {
        let prefix = path.isEmpty ? "" : path + "/"
        folders = folders.filter { !$0.key.hasPrefix(prefix) }
        links = links.filter { !$0.key.hasPrefix(prefix) }
    }

    /// Where a folder really lies. Paths have no leading slash; `..` ends at the root.
    mutating func realPath(_ path: String, depth: Int = 0) throws -> String {
        if let known = resolved[path] { return known }
        guard depth < 40 else {
            throw ImageBuilderError(
                code: .invalidRequest, message: "symbolic links of the base image run in a circle at /\(path)",
                hint: "choose another destination")
        }
        let (parent, name) = Self.split(path)
        let folder = try realPath(parent, depth: depth)
        let here = folder.isEmpty ? name : "\(folder)/\(name)"
        var real = here
        if let target = links[here] {
            let start = target.hasPrefix("/") ? "" : folder + "/"
            real = try realPath(Self.normal(start + target), depth: depth + 1)
        }
        resolved[path] = real
        return real
    }

    static func split(_ path: String) -> (parent: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    /// Without empty, `.` and `..` components.
    static func normal(_ path: String) -> String {
        var names: [Substring] = []
        for name in path.split(separator: "/") where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return names.joined(separator: "/")
    }
}
