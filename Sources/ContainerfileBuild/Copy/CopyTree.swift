import Containerfile
import Glibc
import OCIModel
import SystemPackage
import TarArchive

/// What one source of a COPY brings along, read before anything is written: for the cache key, and to be copied.
struct CopyTree: Sendable {
    struct Item: Sendable {
        enum Kind: Sendable, Hashable {
            case folder
            /// The real name below the source's root.
            case file(String)
            case bytes([UInt8])
            case symlink(String)
            case fifo
            case device(type: UInt32, number: UInt64)
            /// Another name of the file that item `index` of the same tree holds.
            case hardlink(index: Int)
        }

        /// Below the tree; empty for the tree's own file or folder.
        var name: String
        var kind: Kind
        var mode: UInt16
        var uid: UInt32
        var gid: UInt32
        /// Seconds and nanoseconds since 1970.
        var seconds: Int
        var nanoseconds: Int
        var attributes: [String: [UInt8]]
    }

    /// Where `.file` items are read.
    var root: TreeRoot
    /// The name a file gets in a folder; of a folder, the content is copied.
    var name: String
    var isFolder: Bool
    /// A folder comes before what it holds.
    var items: [Item]
}

/// Reads the sources of a COPY: symbolic links on the way to a source are followed inside the root, those below are copied.
struct CopyTreeReader {
    private struct Inode: Hashable {
        let device: dev_t
        let number: ino_t
    }

    let root: TreeRoot
    /// Set on everything; nil keeps the owners.
    var owner: (uid: UInt32, gid: UInt32)?
    /// What is left out, by names below the root, and by names below the tree.
    var ignore: IgnoreRules?
    var excludes: IgnoreRules?
    var isCancelled: () -> Bool = { false }

    /// A file or folder by its real name. What an ignore file or an exclusion leaves out is not in it; the folder itself is.
    func tree(_ found: TreeRoot.Found) throws -> CopyTree {
        guard let status = found.status else {
            throw ContainerfileBuildError(.notFound, "/\(found.real) is not there")
        }
        let name = found.real.split(separator: "/").last.map(String.init) ?? ""
        var tree = CopyTree(root: root, name: name, isFolder: found.isFolder, items: [])
        var links: [Inode: Int] = [:]
        var rules = [ignore?.root, excludes?.root].compactMap { $0 }
        if ignore != nil { for part in found.real.split(separator: "/") { rules[0] = rules[0].entry(part) } }
        // A single file is excluded by its own name.
        if !found.isFolder, excludes != nil, let last = rules.popLast() { rules.append(last.entry(name)) }
        if !found.isFolder, rules.contains(where: \.isExcluded) { return tree }
        try add(found.real, "", status, rules, &tree, &links)
        return tree
    }

    private func add(
        _ real: String, _ name: String, _ status: stat, _ rules: [IgnoreRules.Folder], _ tree: inout CopyTree,
        _ links: inout [Inode: Int]
    ) throws {
        if isCancelled() { throw CancellationError() }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        let isOut = !name.isEmpty && rules.contains(where: \.isExcluded)
        if isOut, !isFolder || rules.contains(where: { $0.isExcluded && !$0.mayHoldExceptions }) { return }
        let place = tree.items.count
        guard let kind = try kind(real, status, &links, place) else { return }
        tree.items.append(try item(name, kind, status, real))
        guard isFolder else { return }
        for child in try root.names(in: real) {
            let inner = TreeRoot.join(real, child)
            guard let status = try root.look(inner) else { continue }
            try add(inner, TreeRoot.join(name, child), status, rules.map { $0.entry(child) }, &tree, &links)
        }
        // A folder that is left out, and holds nothing that is let in again.
        if isOut, tree.items.count == place + 1 { tree.items.removeLast() }
    }

    private func kind(
        _ real: String, _ status: stat, _ links: inout [Inode: Int], _ place: Int
    ) throws -> CopyTree.Item.Kind? {
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return .folder
        case S_IFLNK: return .symlink(try TreeRoot.readLink(root.full(real)))
        case S_IFIFO: return .fifo
        case S_IFREG:
            guard status.st_nlink > 1 else { return .file(real) }
            let inode = Inode(device: status.st_dev, number: status.st_ino)
            if let first = links[inode] { return .hardlink(index: first) }
            links[inode] = place
            return .file(real)
        case S_IFCHR, S_IFBLK: return .device(type: status.st_mode & S_IFMT, number: UInt64(status.st_rdev))
        default: return nil
        }
    }

    /// A file or folder alone, without what it holds.
    func item(_ found: TreeRoot.Found) throws -> CopyTree.Item? {
        guard let status = found.status else { return nil }
        var links: [Inode: Int] = [:]
        return try kind(found.real, status, &links, 0).map { try item("", $0, status, found.real) }
    }

    private func item(_ name: String, _ kind: CopyTree.Item.Kind, _ status: stat, _ real: String) throws -> CopyTree.Item {
        CopyTree.Item(
            name: name, kind: kind, mode: UInt16(status.st_mode & 0o7777), uid: owner?.uid ?? status.st_uid,
            gid: owner?.gid ?? status.st_gid, seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec,
            attributes: try ExtendedAttributes.kept(of: root.full(real)))
    }
}
