import SystemPackage
import TarArchive

/// Turns the nodes of a source into the entries of a layer over a base.
struct LayerPlan {
    /// An entry to be; small, as there is one for every file of a tree of any size.
    struct Item: Sendable {
        let path: String
        /// Position of the file or link in the source's nodes; nil for a folder.
        let node: Int32?
        let mode: UInt16
        let uid: UInt32
        let gid: UInt32
    }

    private(set) var base: BaseTree
    private let copy: BuildRequest.Copy
    private var items: [Item] = []
    private var positions: [String: Int32] = [:]

    /// In archive order. `source` is real; `destination` absolute.
    static func items(
        _ nodes: [SourceNode], of source: FilePath, to destination: String, _ copy: BuildRequest.Copy, over base: BaseTree
    ) throws -> [Item] {
        var plan = LayerPlan(base: base, copy: copy)
        plan.positions.reserveCapacity(nodes.count + 8)
        plan.items.reserveCapacity(nodes.count + 8)
        try plan.add(nodes, source, destination)
        plan.items.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
        return plan.items
    }

    /// The entry, made when it is needed.
    static func entry(_ item: Item, _ nodes: [SourceNode], of source: FilePath) -> TarEntry {
        let content: TarEntry.Content
        if let position = item.node {
            let node = nodes[Int(position)]
            content =
                if let target = node.target { .symlink(target) } else { .file(node.path.isEmpty ? source : source.pushing(FilePath(node.path))) }
        } else {
            content = .directory
        }
        return TarEntry(path: item.path, content: content, mode: item.mode, uid: Int(item.uid), gid: Int(item.gid))
    }

    private init(base: BaseTree, copy: BuildRequest.Copy) {
        self.base = base
        self.copy = copy
    }

    /// The place in the image; relative ones start at the working directory.
    static func destination(_ copy: BuildRequest.Copy, workingDirectory: String) throws -> String {
        let destination = copy.destination.hasPrefix("/") ? copy.destination : "\(workingDirectory)/\(copy.destination)"
        guard !destination.split(separator: "/").contains(".."), !destination.utf8.contains(0) else {
            throw ImageBuilderError(
                code: .invalidRequest, message: "the destination '\(copy.destination)' contains '..'", hint: "write the plain path")
        }
        return destination
    }

    private mutating func add(_ nodes: [SourceNode], _ source: FilePath, _ destination: String) throws {
        guard let root = nodes.first else { return }
        var target = try base.realPath(BaseTree.normal(destination))
        guard root.kind == .folder else {
            // `source` without its last part is where the link lies, not where it points.
            let name = source.lastComponent?.string ?? ""
            if destination.hasSuffix("/") || target.isEmpty || base.folders[target] != nil {
                target = target.isEmpty ? name : "\(target)/\(name)"
            } else {
                target = BaseTree.normal(destination)
            }
            return try addFile(root, 0, target)
        }
        try addParents(of: target)
        if !target.isEmpty { try addFolder(target) }
        /// Where the folders of the source really go.
        var places = ["": target]
        for (position, node) in nodes.enumerated().dropFirst() {
            let (parent, name) = BaseTree.split(node.path)
            let folder = places[parent] ?? target
            let inside = folder.isEmpty ? name : "\(folder)/\(name)"
            guard node.kind == .folder else {
                try addFile(node, Int32(clamping: position), inside)
                continue
            }
            let real = try base.realPath(inside)
            if real != inside { try addParents(of: real) }
            try addFolder(real)
            places[node.path] = real
        }
    }

    private mutating func addFile(_ node: SourceNode, _ position: Int32, _ target: String) throws {
        let (parent, name) = BaseTree.split(target)
        let folder = try base.realPath(parent)
        let path = folder.isEmpty ? name : "\(folder)/\(name)"
        try addParents(of: path)
        guard base.folders[path] == nil else {
            throw ImageBuilderError(
                code: .invalidSource, message: "/\(path) is a folder in the image below, the copy has a file there",
                hint: "choose another destination")
        }
        let mode = node.kind == .link ? 0o777 : copy.mode ?? (node.isExecutable ? 0o755 : 0o644)
        try put(Item(path: path, node: position, mode: mode, uid: UInt32(clamping: copy.uid), gid: UInt32(clamping: copy.gid)))
    }

    private mutating func addFolder(_ path: String) throws {
        guard !path.isEmpty else { return }
        let mode = base.folders[path]?.mode ?? 0o755
        try put(Item(path: path, node: nil, mode: mode, uid: UInt32(clamping: copy.uid), gid: UInt32(clamping: copy.gid)))
    }

    /// Folders on the way keep what the base says about them.
    private mutating func addParents(of path: String) throws {
        var parent = BaseTree.split(path).parent
        while !parent.isEmpty {
            if let known = positions[parent] {
                guard items[Int(known)].node == nil else { throw Self.conflict(parent) }
                return
            }
            let folder = base.folders[parent]
            try put(Item(path: parent, node: nil, mode: folder?.mode ?? 0o755, uid: folder?.uid ?? 0, gid: folder?.gid ?? 0))
            parent = BaseTree.split(parent).parent
        }
    }

    private mutating func put(_ item: Item) throws {
        guard let known = positions[item.path] else {
            positions[item.path] = Int32(clamping: items.count)
            return items.append(item)
        }
        guard (items[Int(known)].node == nil) == (item.node == nil) else { throw Self.conflict(item.path) }
        items[Int(known)] = item
    }

    private static func conflict(_ path: String) -> ImageBuilderError {
        ImageBuilderError(
            code: .invalidSource, message: "/\(path) would be both a file and a folder", hint: "give the copies different destinations")
    }
}
