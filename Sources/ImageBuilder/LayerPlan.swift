import SystemPackage
import TarArchive

/// Turns the nodes of a source into the entries of a layer over a base.
struct LayerPlan {
    private(set) var base: BaseTree
    private let copy: BuildRequest.Copy
    private var entries: [TarEntry] = []
    private var positions: [String: Int] = [:]

    /// `source` is real; `destination` absolute.
    static func entries(
        _ nodes: [SourceNode], of source: FilePath, to destination: String, _ copy: BuildRequest.Copy, over base: BaseTree
    ) throws -> [TarEntry] {
        var plan = LayerPlan(base: base, copy: copy)
        plan.positions.reserveCapacity(nodes.count + 8)
        plan.entries.reserveCapacity(nodes.count + 8)
        try plan.add(nodes, source, destination)
        return plan.entries.sortedForArchive()
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
            return try addFile(root, source, target)
        }
        try addParents(of: target)
        if !target.isEmpty { try addFolder(target) }
        /// Where the folders of the source really go.
        var places = ["": target]
        for node in nodes.dropFirst() {
            let (parent, name) = BaseTree.split(node.path)
            let folder = places[parent] ?? target
            let inside = folder.isEmpty ? name : "\(folder)/\(name)"
            guard node.kind == .folder else {
                try addFile(node, source.pushing(FilePath(node.path)), inside)
                continue
            }
            let real = try base.realPath(inside)
            if real != inside { try addParents(of: real) }
            try addFolder(real)
            places[node.path] = real
        }
    }

    private mutating func addFile(_ node: SourceNode, _ source: FilePath, _ target: String) throws {
        let (parent, name) = BaseTree.split(target)
        let folder = try base.realPath(parent)
        let path = folder.isEmpty ? name : "\(folder)/\(name)"
        try addParents(of: path)
        guard base.folders[path] == nil else {
            throw ImageBuilderError(
                code: .invalidSource, message: "/\(path) is a folder in the image below, the copy has a file there",
                hint: "choose another destination")
        }
        if let target = node.target {
            try put(TarEntry(path: path, content: .symlink(target), mode: 0o777, uid: copy.uid, gid: copy.gid))
        } else {
            let mode = copy.mode ?? (node.isExecutable ? 0o755 : 0o644)
            try put(TarEntry(path: path, content: .file(source), mode: mode, uid: copy.uid, gid: copy.gid))
        }
    }

    private mutating func addFolder(_ path: String) throws {
        guard !path.isEmpty else { return }
        let mode = base.folders[path]?.mode ?? 0o755
        try put(TarEntry(path: path, content: .directory, mode: mode, uid: copy.uid, gid: copy.gid))
    }

    /// Folders on the way keep what the base says about them.
    private mutating func addParents(of path: String) throws {
        var parent = BaseTree.split(path).parent
        while !parent.isEmpty {
            if let known = positions[parent] {
                guard case .directory = entries[known].content else { throw Self.conflict(parent) }
                return
            }
            let folder = base.folders[parent]
            try put(
                TarEntry(
                    path: parent, content: .directory, mode: folder?.mode ?? 0o755, uid: Int(folder?.uid ?? 0),
                    gid: Int(folder?.gid ?? 0)))
            parent = BaseTree.split(parent).parent
        }
    }

    private mutating func put(_ entry: TarEntry) throws {
        guard let known = positions[entry.path] else {
            positions[entry.path] = entries.count
            return entries.append(entry)
        }
        switch (entries[known].content, entry.content) {
        case (.directory, .directory): break
        case (.directory, _), (_, .directory): throw Self.conflict(entry.path)
        default: break
        }
        entries[known] = entry
    }

    private static func conflict(_ path: String) -> ImageBuilderError {
        ImageBuilderError(
            code: .invalidSource, message: "/\(path) would be both a file and a folder", hint: "give the copies different destinations")
    }
}
