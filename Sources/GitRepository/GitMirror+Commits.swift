import BlockingQueue
import CLibgit2
import Glibc

extension GitMirror {
    /// What the commit says about itself.
    public func commit(_ id: CommitID) async throws -> CommitInfo {
        try await withRepository { repository, _ in
            try GitMirror.lendCommit(id, in: repository) { try info(id, $0) }
        }
    }

    /// The commits reachable from `from` and not from `excluding`, newest first, at most `limit` of them.
    public func log(from: CommitID, excluding: CommitID? = nil, limit: Int) async throws -> [CommitInfo] {
        try await withRepository { repository, cancellation in
            try lend("cannot walk the history", open: { git_revwalk_new(&$0, repository) }, free: git_revwalk_free) { walk in
                try check(git_revwalk_sorting(walk, GIT_SORT_TIME.rawValue), "cannot sort the history")
                var start = from.oid
                try check(git_revwalk_push(walk, &start), "there is no commit \(from)")
                if var stop = excluding?.oid { try check(git_revwalk_hide(walk, &stop), "there is no commit \(excluding?.hex ?? "")") }
                var found: [CommitInfo] = []
                var next = git_oid()
                while found.count < limit {
                    if cancellation.isCancelled { throw CancellationError() }
                    let result = git_revwalk_next(&next, walk)
                    if result == GIT_ITEROVER.rawValue { break }
                    try check(result, "cannot walk the history of \(from)")
                    let id = CommitID(next)
                    found.append(try GitMirror.lendCommit(id, in: repository) { try info(id, $0) })
                }
                return found
            }
        }
    }

    static func lendCommit<R>(_ id: CommitID, in repository: OpaquePointer, _ use: (OpaquePointer) throws -> R) throws -> R {
        var oid = id.oid
        var found: OpaquePointer?
        let result = git_commit_lookup(&found, repository, &oid)
        guard result != GIT_ENOTFOUND.rawValue else {
            throw GitError(.notFound, "there is no commit \(id)", hint: "fetch again; a force-push may have removed it from the source")
        }
        try check(result, "cannot read the commit \(id)")
        guard let commit = found else { throw GitError(.failed, "libgit2 returned no commit \(id)") }
        defer { git_commit_free(commit) }
        return try use(commit)
    }

    static func lendTree<R>(of id: CommitID, in repository: OpaquePointer, _ use: (OpaquePointer) throws -> R) throws -> R {
        try lendCommit(id, in: repository) { commit in
            try lend("cannot read the tree of \(id)", open: { git_commit_tree(&$0, commit) }, free: git_tree_free, use: use)
        }
    }
}

private let messageLimit = 64 << 10

private func info(_ id: CommitID, _ commit: OpaquePointer) throws -> CommitInfo {
    let author = git_commit_author(commit)?.pointee
    let parents = (0..<git_commit_parentcount(commit)).compactMap { git_commit_parent_id(commit, $0).map { CommitID($0.pointee) } }
    guard let tree = git_commit_tree_id(commit) else { throw GitError(.corrupt, "the commit \(id) has no tree") }
    return CommitInfo(
        id: id, tree: tree.pointee.hex, parents: parents, authorName: text(author?.name), authorEmail: text(author?.email),
        authorTime: author?.when.time ?? 0, committerTime: git_commit_time(commit), summary: text(git_commit_summary(commit)),
        message: text(git_commit_message(commit)))
}

/// The first 64 KiB of a C string; bytes that are not UTF-8 become U+FFFD.
private func text(_ pointer: UnsafePointer<CChar>?) -> String {
    guard let pointer else { return "" }
    let bytes = UnsafeRawBufferPointer(start: pointer, count: strnlen(pointer, messageLimit))
    return String(decoding: bytes, as: UTF8.self)
}
