import SystemPackage
import TarArchive

/// Says where layers made for one base would not do over another. Nothing is merged: wherever the layers speak about something
/// of the old base, the new one must have the very same there.
struct RebaseCheck {
    struct Conflict: Hashable, CustomStringConvertible {
        let path: String
        let reason: String
        var description: String { "\(path): \(reason)" }
    }

    private let old: LayerTree
    private let new: LayerTree
    /// The bases with what the image's own layers have done so far.
    private var oldView: LayerTree
    private var newView: LayerTree
    private let firstLayer: Int
    private var checkedFolders: Set<FilePath> = []
    private(set) var conflicts: [Conflict] = []

    /// `firstLayer` is the number of the lowest layer of the image's own; those of the bases have lower ones.
    init(old: LayerTree, new: LayerTree, firstLayer: Int) {
        self.old = old
        self.new = new
        oldView = old
        newView = new
        self.firstLayer = firstLayer
    }

    mutating func add(_ change: LayerChange, layer: Int) {
        defer {
            _ = oldView.apply(change, layer: layer)
            _ = newView.apply(change, layer: layer)
        }
        guard let folder = realFolder(change.name, of: "the entry") else { return }
        switch change.kind {
        case .hide(let name): compareHidden(folder + [name])
        case .hideAll: compareContent(folder)
        case .node(let node):
            let path = folder + change.name.components.suffix(1)
            if node.isFolder { compareFolder(path, node) } else { compareFile(path, node) }
        case .hardlink(let target):
            guard let there = realFolder(target, of: "a hard link to it") else { return }
            let source = there + target.components.suffix(1)
            guard let node = oldView.node(at: source) else {
                return report(source, "a hard link leads to it, but the old base does not have it")
            }
            if node.layer < firstLayer, let found = difference(old.node(at: source), new.node(at: source), source) {
                return report(found.path, "a hard link leads to it, and it \(found.what) the new base")
            }
            compareFile(folder + change.name.components.suffix(1), node)
        }
    }

    // MARK: Ways

    /// The folder an entry lies in, when both bases agree where that is.
    private mutating func realFolder(_ name: EntryName, of what: String) -> LayerTree.Path? {
        guard let before = oldView.realFolder(name.parents) else {
            report(name.components, "\(what) lies below something that is not a folder in the old base")
            return nil
        }
        let after = newView.realFolder(name.parents)
        guard let after, after == before else {
            let there = after.map { "lies in \(Self.text($0)) over the new base" } ?? "lies below a file of the new base"
            report(name.components, "\(what) lies in \(Self.text(before)) over the old base, but \(there)")
            return nil
        }
        var path: LayerTree.Path = []
        for component in before {
            path.append(component)
            var key = FilePath(root: "/")
            key.append(path)
            guard checkedFolders.insert(key).inserted else { continue }
            if old.node(at: path) != nil, new.node(at: path) == nil {
                report(path, "the image has files in it, and it is gone from the new base")
                return nil
            }
        }
        return before
    }

    // MARK: Entries

    private mutating func compareFile(_ path: LayerTree.Path, _ node: LayerTree.Node) {
        let (before, after) = (old.node(at: path), new.node(at: path))
        // Both bring the same.
        if before == nil, let after, after.isLike(node), !after.isFolder { return }
        guard let found = difference(before, after, path) else { return }
        report(found.path, "the image replaces it, and it \(found.what) the new base")
    }

    private mutating func compareFolder(_ path: LayerTree.Path, _ node: LayerTree.Node) {
        switch (old.node(at: path), new.node(at: path)) {
        case (nil, nil): return
        case (let before?, let after?) where before.isFolder && after.isFolder:
            if before.isLike(after) || after.isLike(node) { return }
            report(path, "the image sets the folder's mode and owner, and they changed in the new base")
        case (nil, let after?) where after.isLike(node): return
        case (nil, let after?):
            report(
                path,
                after.isFolder
                    ? "both the image and the new base make this folder, with another mode or owner"
                    : "is a folder in the image and none in the new base")
        case (let before?, let after):
            guard let found = difference(before, after, path) else { return }
            report(found.path, "the image has a folder there, and it \(found.what) the new base")
        }
    }

    /// Something hidden may be gone: there is nothing to hide any more.
    private mutating func compareHidden(_ path: LayerTree.Path) {
        guard let after = new.node(at: path), let found = difference(old.node(at: path), after, path) else { return }
        report(found.path, "the image deletes it, and it \(found.what) the new base")
    }

    private mutating func compareContent(_ path: LayerTree.Path) {
        let (before, after) = (old.node(at: path)?.children ?? [:], new.node(at: path)?.children ?? [:])
        for (name, node) in after.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
            if let found = difference(before[name], node, path + [name]) {
                report(found.path, "the image empties the folder, and this \(found.what) the new base")
            }
        }
    }

    // MARK: Differences

    /// The first path where two trees differ.
    private func difference(
        _ before: LayerTree.Node?, _ after: LayerTree.Node?, _ path: LayerTree.Path
    ) -> (path: LayerTree.Path, what: String)? {
        switch (before, after) {
        case (nil, nil): return nil
        case (nil, _): return (path, "is new in")
        case (_, nil): return (path, "is gone from")
        case (let before?, let after?):
            guard before.isLike(after) else { return (path, "changed in") }
            let names = Set(before.children.keys).union(after.children.keys)
            for name in names.sorted(by: { $0.bytes.lexicographicallyPrecedes($1.bytes) }) {
                if let found = difference(before.children[name], after.children[name], path + [name]) { return found }
            }
            return nil
        }
    }

    private mutating func report(_ path: LayerTree.Path, _ reason: String) {
        let conflict = Conflict(path: Self.text(path), reason: reason)
        if !conflicts.contains(conflict), conflicts.count < 100 { conflicts.append(conflict) }
    }

    private static func text(_ path: LayerTree.Path) -> String { "/" + path.map(\.string).joined(separator: "/") }
}
