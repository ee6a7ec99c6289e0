import OCIModel

/// The folders and symbolic links below a layer: those of the base image and of the layers built before. A layer that writes
/// `/bin/tool` over a base where `/bin` is a link to `usr/bin` must hold `usr/bin/tool`, and `/tmp` must stay 1777.
struct BaseTree {
    private(set) var folders: [String: LayerIndex.Folder] = [:]
    private(set) var links: [String: String] = [:]
    private var resolved: [String: String] = ["": ""]

    mutating func add(_ layer: LayerIndex) {
        resolved = ["": ""]
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

    /// Adds to a key what this tree decides about a copy to `destination` (normal): where it really goes, what the folders on
    /// the way and those of the base below it look like. With links below, that could be anywhere: then all of it.
    mutating func addTraits(of destination: String, to key: inout CacheKey) throws {
        let real = try realPath(destination)
        key.add(real)
        var parent = real
        while !parent.isEmpty {
            add(parent, folders[parent], to: &key)
            parent = Self.split(parent).parent
        }
        let prefix = real.isEmpty ? "" : real + "/"
        let isPlain = !links.keys.contains { $0.hasPrefix(prefix) }
        let below = folders.keys.filter { !isPlain || $0.hasPrefix(prefix) }.sorted()
        key.add(Int64(below.count))
        for path in below { add(path, folders[path], to: &key) }
        key.add(isPlain ? [:] : links)
    }

    private func add(_ path: String, _ folder: LayerIndex.Folder?, to key: inout CacheKey) {
        key.add(path)
        key.add(folder.map { "\($0.mode) \($0.uid) \($0.gid)" })
    }

    static func split(_ path: String) -> (parent: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: 0x2f) else { return ("", path) }
        return (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
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
