import CLibgit2

extension GitMirror {
    /// The paths whose content, mode or existence differs between two commits, sorted; a renamed file counts with both names.
    /// With `from` nil, all paths of `to`.
    public func changedPaths(from: CommitID?, to: CommitID) async throws -> [String] {
        try await withRepository { repository, _ in
            try GitMirror.lendTree(of: to, in: repository) { new in
                guard let from else { return try paths(from: nil, to: new, in: repository) }
                return try GitMirror.lendTree(of: from, in: repository) { try paths(from: $0, to: new, in: repository) }
            }
        }
    }
}

private func paths(from old: OpaquePointer?, to new: OpaquePointer, in repository: OpaquePointer) throws -> [String] {
    var options = git_diff_options()
    try check(git_diff_options_init(&options, UInt32(GIT_DIFF_OPTIONS_VERSION)), "cannot compare")
    options.flags = GIT_DIFF_INCLUDE_TYPECHANGE.rawValue | GIT_DIFF_SKIP_BINARY_CHECK.rawValue
    return try lend("cannot compare", open: { git_diff_tree_to_tree(&$0, repository, old, new, &options) }, free: git_diff_free) { diff in
        var found = Set<String>()
        for index in 0..<git_diff_num_deltas(diff) {
            guard let delta = git_diff_get_delta(diff, index)?.pointee else { continue }
            if let path = delta.old_file.path { found.insert(String(cString: path)) }
            if let path = delta.new_file.path { found.insert(String(cString: path)) }
        }
        return found.sorted()
    }
}
