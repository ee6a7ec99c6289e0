import OCIModel
import SystemPackage
import TarArchive

/// The files some layers make together, known by their digests. Values share what is equal, so a copy costs nothing.
struct LayerTree {
    enum Content: Hashable {
        case folder
        case file(Digest)
        case link(FilePath)
        case fifo
        case device(isBlock: Bool, major: UInt32, minor: UInt32)
    }

    /// What stands at a path. Times are left out: a base built again has other times and the same files.
    struct Node {
        var content: Content
        var mode: UInt16 = 0o755
        var uid: UInt32 = 0
        var gid: UInt32 = 0
        var xattrs: [String: [UInt8]] = [:]
        var children: [FilePath.Component: Node] = [:]
        /// Which layer spoke about it last.
        var layer: Int

        var isFolder: Bool { content == .folder }

        func isLike(_ other: Node) -> Bool {
            content == other.content && mode == other.mode && uid == other.uid && gid == other.gid && xattrs == other.xattrs
        }
    }

    typealias Path = [FilePath.Component]

    private(set) var root = Node(content: .folder, layer: -1)

    /// What stands at a path none of whose folders is a link.
    func node(at path: Path) -> Node? {
        var node = root
        for name in path {
            guard let next = node.children[name] else { return nil }
            node = next
        }
        return node
    }

    /// Where a folder really is: links are followed as if the tree were `/`, what is missing is taken as a folder to come.
    /// Nil when a file is on the way, or links run in a circle.
    func realFolder(_ path: Path) -> Path? {
        var real: Path = []
        var pending = Array(path.reversed())
        var links = 0
        while let name = pending.popLast() {
            switch name.kind {
            case .currentDirectory: continue
            case .parentDirectory: _ = real.popLast()
            case .regular:
                switch node(at: real + [name])?.content {
                case .folder, nil: real.append(name)
                case .link(let target):
                    links += 1
                    guard links <= 40 else { return nil }
                    if target.isAbsolute { real = [] }
                    pending.append(contentsOf: target.components.reversed())
                default: return nil
                }
            }
        }
        return real
    }

    /// Puts a node at a real path; a folder keeps what is in it.
    mutating func put(_ node: Node, at path: Path) {
        Self.change(&root, path[...], node.layer) { old in
            var new = node
            if let old, old.isFolder, new.isFolder { new.children = old.children }
            old = new
        }
    }

    /// Hides what layers before `layer` have at a real path.
    mutating func hide(_ path: Path, before layer: Int) {
        Self.change(&root, path[...], layer) { old in
            guard let node = old else { return }
            old = node.layer < layer ? Self.pruned(node, layer) : Self.emptied(node, layer)
        }
    }

    /// Hides what layers before `layer` have in a folder.
    mutating func hideAll(in path: Path, before layer: Int) {
        Self.change(&root, path[...], layer) { old in
            old = Self.emptied(old ?? Node(content: .folder, layer: layer), layer)
        }
    }

    private static func change(_ node: inout Node, _ path: ArraySlice<FilePath.Component>, _ layer: Int, _ body: (inout Node?) -> Void) {
        guard let name = path.first else {
            var changed: Node? = node
            body(&changed)
            if let changed { node = changed }
            return
        }
        if path.count == 1 { return body(&node.children[name]) }
        change(&node.children[name, default: Node(content: .folder, layer: layer)], path.dropFirst(), layer, body)
    }

    /// Nil unless the folder holds something of the layer.
    private static func pruned(_ node: Node, _ layer: Int) -> Node? {
        let left = emptied(node, layer)
        return left.children.isEmpty ? nil : left
    }

    private static func emptied(_ node: Node, _ layer: Int) -> Node {
        var node = node
        node.children = node.children.compactMapValues { $0.layer < layer ? pruned($0, layer) : emptied($0, layer) }
        return node
    }
}

extension LayerTree {
    /// Makes the change. False when a file is on the way to it, or a hard link leads nowhere.
    mutating func apply(_ change: LayerChange, layer: Int) -> Bool {
        guard let folder = realFolder(change.name.parents) else { return false }
        switch change.kind {
        case .hide(let name): hide(folder + [name], before: layer)
        case .hideAll: hideAll(in: folder, before: layer)
        case .node(let node): put(node, at: folder + change.name.components.suffix(1))
        case .hardlink(let target):
            guard let source = realPath(of: target), var node = node(at: source), !node.isFolder else { return false }
            node.layer = layer
            put(node, at: folder + change.name.components.suffix(1))
        }
        return true
    }

    /// Where an entry really is; its last component is not followed.
    func realPath(of name: EntryName) -> Path? { realFolder(name.parents).map { $0 + name.components.suffix(1) } }
}
