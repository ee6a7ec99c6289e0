extension CopyTree {
    /// The tree with other owners and modes, as `--chown` and `--chmod` ask for.
    func changed(owner: (uid: UInt32, gid: UInt32)?, mode: ((_ mode: UInt16, _ isFolder: Bool) -> UInt16)?) -> CopyTree {
        var tree = self
        for index in tree.items.indices {
            if let owner { (tree.items[index].uid, tree.items[index].gid) = owner }
            guard let mode else { continue }
            switch tree.items[index].kind {
            case .symlink: break
            case .folder: tree.items[index].mode = mode(tree.items[index].mode, true)
            default: tree.items[index].mode = mode(tree.items[index].mode, false)
            }
        }
        return tree
    }

    /// A file made of bytes.
    static func file(_ name: String, _ bytes: [UInt8], seconds: Int64, in root: TreeRoot) -> CopyTree {
        let item = Item(
            name: "", kind: .bytes(bytes), mode: 0o644, uid: 0, gid: 0, seconds: Int(seconds), nanoseconds: 0, attributes: [:])
        return CopyTree(root: root, name: name, isFolder: false, items: [item])
    }
}
