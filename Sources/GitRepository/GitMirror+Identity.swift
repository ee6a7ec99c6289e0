import CLibgit2

extension GitMirror {
    /// Names the content of a folder or file of a commit: equal names mean equal files, executable bits and links, in any
    /// commit of any repository. Nil for what is not there, for links and for submodules.
    ///
    /// - Parameter path: below the root, separated by slashes; empty or `.` for all of it.
    public func identity(of path: String, at id: CommitID) async throws -> String? {
        let names = path.split(separator: "/").filter { $0 != "." }
        guard !names.contains("..") else { return nil }
        return try await withRepository { repository, _ in
            try GitMirror.lendTree(of: id, in: repository) { tree in
                if names.isEmpty { return git_tree_id(tree).map { "git tree \($0.pointee.hex)" } }
                var found: OpaquePointer?
                let result = git_tree_entry_bypath(&found, tree, names.joined(separator: "/"))
                if result == GIT_ENOTFOUND.rawValue { return nil }
                try check(result, "cannot look up \(path) in \(id)")
                guard let entry = found else { return nil }
                defer { git_tree_entry_free(entry) }
                guard let object = git_tree_entry_id(entry)?.pointee.hex else { return nil }
                switch git_tree_entry_filemode(entry) {
                case GIT_FILEMODE_TREE: return "git tree \(object)"
                case GIT_FILEMODE_BLOB: return "git blob \(object)"
                case GIT_FILEMODE_BLOB_EXECUTABLE: return "git executable \(object)"
                default: return nil
                }
            }
        }
    }
}
