import Containerfile
import Glibc

/// Finds what COPY and ADD name, patterns included, and reads it. Blocking.
struct CopySources {
    let root: TreeRoot
    /// What is not there for the build.
    let ignore: IgnoreRules?
    let isContext: Bool
    let excludes: IgnoreRules?
    let keepsParents: Bool
    let isCancelled: () -> Bool

    /// One tree per match. A pattern may match nothing as long as another source is there.
    func trees(_ paths: [String]) throws -> [CopyTree] {
        var trees: [CopyTree] = []
        var isFound = false
        for path in paths {
            // `a/./b`: with --parents, what is left of the dot is not kept.
            let parts = keepsParents ? path.firstRange(of: "/./").map { [String(path[..<$0.lowerBound]), String(path[$0.upperBound...])] } : nil
            let pivot = parts.map { TreeRoot.names($0[0]).count } ?? 0
            for name in try matches(path) {
                isFound = true
                if let tree = try tree(name, pivot: pivot) { trees.append(tree) }
            }
        }
        if !isFound, !paths.isEmpty { throw missing(paths.joined(separator: " ")) }
        return trees
    }

    /// Names below the root; the last component may be a link.
    private func matches(_ path: String) throws -> [String] {
        if isContext { try refuseEscape(path) }
        var found: [String] = []
        // `**` is any number of folders where the folders are kept, and like `*` elsewhere.
        var components: [PathPattern.Component?] = []
        for name in TreeRoot.names(path) {
            if keepsParents, name == "**" {
                components.append(nil)
            } else if name == ".." {
                _ = components.popLast()
            } else {
                components += try PathPattern(parsing: name).components.map { $0 }
            }
        }
        try expand("", components[...], &found)
        if found.isEmpty, components.allSatisfy({ $0?.literal != nil }) { throw missing(path) }
        return found
    }

    private func refuseEscape(_ path: String) throws {
        var depth = 0
        for name in TreeRoot.names(path) {
            depth += name == ".." ? -1 : 1
            guard depth >= 0 else {
                throw ContainerfileBuildError(
                    .outsideContext, "'\(path)' leads out of the build context", hint: "build with a context that holds it")
            }
        }
    }

    private func expand(_ name: String, _ rest: ArraySlice<PathPattern.Component?>, _ found: inout [String]) throws {
        if isCancelled() { throw CancellationError() }
        guard let next = rest.first else {
            let place = try root.find(name)
            if place.status != nil, !(ignore?.leavesOut(place) ?? false), !found.contains(name) { found.append(name) }
            return
        }
        if let literal = next?.literal { return try expand(TreeRoot.join(name, literal), rest.dropFirst(), &found) }
        let folder = try root.find(name)
        guard folder.isFolder, !(ignore?.leavesOut(folder) ?? false) else { return }
        if next == nil { try expand(name, rest.dropFirst(), &found) }
        for entry in try root.names(in: folder.real) {
            if let next {
                if next.matches(entry) { try expand(TreeRoot.join(name, entry), rest.dropFirst(), &found) }
            } else if let status = try root.look(TreeRoot.join(folder.real, entry)), status.st_mode & S_IFMT == S_IFDIR {
                try expand(TreeRoot.join(name, entry), rest, &found)
            }
        }
    }

    private func tree(_ name: String, pivot: Int) throws -> CopyTree? {
        let found = try root.find(name)
        let reader = CopyTreeReader(
            root: root, owner: isContext ? (0, 0) : nil, ignore: ignore, excludes: excludes, isCancelled: isCancelled)
        var tree = try reader.tree(found)
        guard !tree.items.isEmpty else { return nil }
        tree.name = name.split(separator: "/").last.map(String.init) ?? ""
        guard keepsParents else { return tree }
        return try withParents(tree, Array(TreeRoot.names(name).dropFirst(min(pivot, TreeRoot.names(name).count - 1))), name)
    }

    /// The tree below the folders that lead to it, each as it is in the source.
    private func withParents(_ tree: CopyTree, _ kept: [String], _ name: String) throws -> CopyTree {
        let all = TreeRoot.names(name)
        let skipped = all.count - kept.count
        var result = CopyTree(root: tree.root, name: "", isFolder: true, items: [])
        for depth in kept.indices.dropLast() {
            let folder = try root.find(all[..<(skipped + depth + 1)].joined(separator: "/"))
            guard var item = try CopyTreeReader(root: root, owner: isContext ? (0, 0) : nil).item(folder) else { continue }
            item.name = kept[...depth].joined(separator: "/")
            result.items.append(item)
        }
        let offset = result.items.count
        for var item in tree.items {
            item.name = TreeRoot.join(kept.joined(separator: "/"), item.name)
            if case .hardlink(let index) = item.kind { item.kind = .hardlink(index: index + offset) }
            result.items.append(item)
        }
        return result
    }

    private func missing(_ path: String) -> ContainerfileBuildError {
        let ignored = ignore != nil && isContext ? ", or does the ignore file leave it out" : ""
        return ContainerfileBuildError(
            .notFound, "'\(path)' is not in the \(isContext ? "build context" : "stage or image")",
            hint: "check the spelling: is it relative to the \(isContext ? "context" : "root")\(ignored)?")
    }
}
