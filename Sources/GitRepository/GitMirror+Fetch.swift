import BlockingQueue
import CLibgit2
import Glibc
import SystemPackage

extension GitMirror {
    /// Brings all references of the repository at `url` here (branches, tags, pull requests), removes the ones it no longer has, and
    /// returns those that lead to a commit, by full name (`refs/heads/main`). Only objects not yet here are transferred.
    ///
    /// The mirror is made when missing. Another fetch into it is waited for. `progress` is called at most ten times a second, on the
    /// queue's thread. Cancellation ends the transfer at its next step (an `ssh` server that says nothing is the exception) and leaves the references as they were.
    /// So does a server that sends nothing for `stallLimit`.
    ///
    /// - Parameter url: see ``GitURL``; it is stored nowhere, and messages do not show its user and password.
    public func fetch(
        from url: String, credentials: GitCredentials? = nil, progress: (@Sendable (GitProgress) -> Void)? = nil
    ) async throws -> [String: CommitID] {
        let source = try GitURL(parsing: url)
        let (path, stallLimit) = (path, stallLimit)
        return try await queue.run { cancellation in
            let watch = ConnectionWatch(cancellation: cancellation, limit: stallLimit)
            let session = FetchSession(url: source, credentials: credentials, watch: watch) { progress?($0) }
            return try withFolderLock(path, cancellation) {
                try lendOrMakeRepository(at: path) { repository in
                    removeLeftovers(in: path)
                    try ConnectionWatch.$current.withValue(watch) {
                        try withExtendedLifetime(session) { try transfer(session, into: repository, at: path) }
                    }
                    return try GitMirror.references(in: repository)
                }
            }
        }
    }
}

private let mirrorRefspec = "+refs/*:refs/*"

private func transfer(_ session: FetchSession, into repository: OpaquePointer, at path: FilePath) throws {
    var callbacks = try session.callbacks()
    var options = git_fetch_options()
    try check(git_fetch_options_init(&options, UInt32(GIT_FETCH_OPTIONS_VERSION)), "cannot prepare the fetch")
    options.callbacks = callbacks
    options.proxy_opts.type = GIT_PROXY_AUTO
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE
    options.update_fetchhead = 0
    var remote: OpaquePointer?
    var creation = git_remote_create_options()
    try session.verify(git_remote_create_options_init(&creation, UInt32(GIT_REMOTE_CREATE_OPTIONS_VERSION)), "cannot prepare")
    creation.repository = repository
    // The project's URL is meant as it is; and libgit2 1.5 leaks 17 KiB for each entry of a configuration that it compares with url.*.insteadOf.
    creation.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF.rawValue
    try session.verify(git_remote_create_with_opts(&remote, session.url.raw, &creation), "cannot use")
    guard let remote else { throw GitError(.failed, "cannot use '\(session.url)'") }
    defer { git_remote_free(remote) }

    try session.verify(git_remote_connect(remote, GIT_DIRECTION_FETCH, &callbacks, &options.proxy_opts, nil), "cannot reach")
    let branch = try remoteHead(remote, session)
    try mirrorRefspec.withCString { text in
        var strings: [UnsafeMutablePointer<CChar>?] = [UnsafeMutablePointer(mutating: text)]
        try strings.withUnsafeMutableBufferPointer { buffer in
            var refspecs = git_strarray(strings: buffer.baseAddress, count: buffer.count)
            try session.verify(git_remote_download(remote, &refspecs, &options), "cannot fetch from")
        }
    }
    if let progress = git_remote_stats(remote) { session.show(progress.pointee, last: true) }
    git_remote_disconnect(remote)
    if session.cancellation.isCancelled { throw CancellationError() }

    // Pruning comes first, as in git: a removed branch `a` would be in the way of a new branch `a/b`.
    func moveReferences() -> Int32 {
        var result = git_remote_prune(remote, &callbacks)
        if result >= 0 { result = git_remote_update_tips(remote, &callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_NONE, nil) }
        if result >= 0, let branch { result = git_repository_set_head(repository, branch) }
        return result
    }
    var result = moveReferences()
    // libgit2 1.5 does not always say GIT_ELOCKED.
    if result < 0, !session.cancellation.isCancelled, removeLockFiles(in: path) { result = moveReferences() }
    try session.verify(result, "cannot store the references of")
}

/// The full name of the branch that the source's `HEAD` names.
private func remoteHead(_ remote: OpaquePointer, _ session: FetchSession) throws -> String? {
    var heads: UnsafeMutablePointer<UnsafePointer<git_remote_head>?>?
    var count = 0
    try session.verify(git_remote_ls(&heads, &count, remote), "cannot list the references of")
    for head in UnsafeBufferPointer(start: heads, count: count) {
        guard let head = head?.pointee, let name = head.name, strcmp(name, "HEAD") == 0, let target = head.symref_target else { continue }
        let branch = String(cString: target)
        return branch.hasPrefix("refs/heads/") ? branch : nil
    }
    return nil
}

/// Opens the mirror; makes it when the folder is new, or when making it was interrupted.
private func lendOrMakeRepository<R>(at path: FilePath, _ use: (OpaquePointer) throws -> R) throws -> R {
    do {
        return try GitMirror.lendRepository(at: path, use)
    } catch let error as GitError where error.code == .notFound && !isRepository(path) {
        let ours: Set = ["HEAD", "config", "description", "hooks", "info", "objects", "refs", "branches", "config.lock", "HEAD.lock"]
        if let other = names(in: path).first(where: { !ours.contains($0) }) {
            throw GitError(.notARepository, "'\(path)' is not a mirror: it contains '\(other)'", hint: "choose an empty folder for the mirror")
        }
        removeLockFiles(in: path)
        var options = git_repository_init_options()
        try check(git_repository_init_options_init(&options, UInt32(GIT_REPOSITORY_INIT_OPTIONS_VERSION)), "cannot prepare the mirror")
        options.flags = GIT_REPOSITORY_INIT_BARE.rawValue | GIT_REPOSITORY_INIT_MKPATH.rawValue
        options.mode = GIT_REPOSITORY_INIT_SHARED_UMASK.rawValue
        return try lend(
            "cannot make the mirror '\(path)'", open: { git_repository_init_ext(&$0, path.string, &options) }, free: git_repository_free, use: use)
    }
}

private func isRepository(_ path: FilePath) -> Bool {
    (try? GitMirror.lendRepository(at: path) { _ in true }) ?? false
}

/// Removes what a killed fetch left behind. Only for the holder of the mirror's lock.
private func removeLeftovers(in path: FilePath) {
    let packs = path.appending("objects/pack")
    for name in names(in: packs) where name.hasPrefix("pack_git2_") { unlink(packs.appending(name).string) }
}

/// Removes the lock files of a killed fetch, and tells whether there were any. Only for the holder of the mirror's lock.
@discardableResult
private func removeLockFiles(in path: FilePath) -> Bool {
    var found = false
    func remove(_ file: FilePath) { found = unlink(file.string) == 0 || found }
    func clean(_ folder: FilePath) {
        for name in names(in: folder) {
            let child = folder.appending(name)
            if name.hasSuffix(".lock") { remove(child) } else if isFolder(child) { clean(child) }
        }
    }
    for name in ["HEAD.lock", "config.lock", "packed-refs.lock"] { remove(path.appending(name)) }
    clean(path.appending("refs"))
    return found
}

private func isFolder(_ path: FilePath) -> Bool {
    var status = stat()
    return lstat(path.string, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}
