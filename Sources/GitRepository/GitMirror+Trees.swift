import CLibgit2
import Glibc

extension GitMirror {
    /// The bytes of a file at a commit; nil when there is no such file, or the name belongs to a folder, a symbolic link or a submodule.
    /// Larger than `limit` throws `.tooLarge` before anything is read into memory.
    public func readFile(_ path: String, at id: CommitID, limit: Int) async throws -> [UInt8]? {
        try await withRepository { repository, _ in
            try GitMirror.lendTree(of: id, in: repository) { tree in
                try lendEntry(path, in: tree) { entry -> [UInt8]? in
                    guard let oid = git_tree_entry_id(entry) else { return nil }
                    switch kind(of: entry) {
                    case .file, .executable: break
                    case .symlink, .folder, .submodule, nil: return nil
                    }
                    return try GitMirror.lendBlob(oid.pointee, in: repository, limit: Int64(limit), name: path) { Array($0) }
                } ?? nil
            }
        }
    }

    /// The entries of a folder at a commit, in git's order; `""` is the root. Empty when there is no such folder.
    public func list(_ folder: String, at id: CommitID) async throws -> [GitEntry] {
        try await withRepository { repository, _ in
            try GitMirror.lendTree(of: id, in: repository) { root in
                if normalised(folder).isEmpty { return try entries(of: root) }
                return try lendEntry(folder, in: root) { entry -> [GitEntry] in
                    guard kind(of: entry) == .folder, let oid = git_tree_entry_id(entry) else { return [] }
                    return try lend("cannot read '\(folder)'", open: { git_tree_lookup(&$0, repository, oid) }, free: git_tree_free, use: entries)
                } ?? []
            }
        }
    }

    /// Lends the content of a blob, after its size was found to be within `limit`.
    static func lendBlob<R>(
        _ id: git_oid, in repository: OpaquePointer, limit: Int64, name: @autoclosure () -> String, _ use: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        var id = id
        try lend("cannot open the objects", open: { git_repository_odb(&$0, repository) }, free: git_odb_free) { objects in
            var size = 0
            var type = GIT_OBJECT_INVALID
            try check(git_odb_read_header(&size, &type, objects, &id), "cannot read '\(name())'")
            guard Int64(size) <= limit else {
                throw GitError(
                    .tooLarge, "'\(name())' has \(size) bytes, more than the limit of \(limit)", hint: "keep large files out of the repository")
            }
        }
        return try lend("cannot read '\(name())'", open: { git_blob_lookup(&$0, repository, &id) }, free: git_blob_free) { blob in
            try use(UnsafeRawBufferPointer(start: git_blob_rawcontent(blob), count: Int(git_blob_rawsize(blob))))
        }
    }
}

/// Without slashes at the ends.
private func normalised(_ path: String) -> String {
    var path = path[...]
    while path.first == "/" { path = path.dropFirst() }
    while path.last == "/" { path = path.dropLast() }
    return path == "." ? "" : String(path)
}

/// nil when the tree has no such path.
private func lendEntry<R>(_ path: String, in tree: OpaquePointer, _ use: (OpaquePointer) throws -> R) throws -> R? {
    let path = normalised(path)
    guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
    var found: OpaquePointer?
    let result = git_tree_entry_bypath(&found, tree, path)
    switch git_error_code(result) {
    case GIT_ENOTFOUND, GIT_EINVALIDSPEC, GIT_EINVALID: return nil
    default: try check(result, "cannot look up '\(path)'")
    }
    guard let entry = found else { return nil }
    defer { git_tree_entry_free(entry) }
    return try use(entry)
}

private func entries(of tree: OpaquePointer) throws -> [GitEntry] {
    try (0..<git_tree_entrycount(tree)).compactMap { index in
        guard let entry = git_tree_entry_byindex(tree, index), let name = git_tree_entry_name(entry), let id = git_tree_entry_id(entry) else {
            return nil
        }
        guard let kind = kind(of: entry) else { throw GitError(.corrupt, "'\(String(cString: name))' has an unknown file mode") }
        return GitEntry(name: String(cString: name), kind: kind, id: id.pointee.hex)
    }
}

/// What a tree entry is; nil for a mode that git does not define.
func kind(of entry: OpaquePointer) -> GitEntry.Kind? {
    switch git_tree_entry_filemode(entry) {
    case GIT_FILEMODE_BLOB: .file
    case GIT_FILEMODE_BLOB_EXECUTABLE: .executable
    case GIT_FILEMODE_LINK: .symlink
    case GIT_FILEMODE_TREE: .folder
    case GIT_FILEMODE_COMMIT: .submodule
    default: nil
    }
}
