import CLibgit2

extension GitMirror {
    /// The commit that `revision` names: `HEAD`, a full reference (`refs/heads/main`), a branch, a tag (annotated tags are followed to
    /// their commit), a full id or an unambiguous beginning of one with at least 4 digits. A branch is preferred to a tag, and both to
    /// a short id.
    public func resolve(_ revision: String) async throws -> CommitID {
        try await withRepository { repository, _ in
            guard !revision.isEmpty, revision.utf8.count <= 1024, !revision.utf8.contains(0) else {
                throw GitError(.invalid, "'\(revision.prefix(80))' is not a revision", hint: "use a branch, a tag or a commit id")
            }
            let isHex = revision.utf8.count >= 4 && revision.utf8.count <= 40 && revision.utf8.allSatisfy(\.isHexDigit)
            if isHex, revision.utf8.count == 40, let found = try findCommit(startingWith: revision, in: repository) { return found }
            let names =
                revision == "HEAD" || revision.hasPrefix("refs/")
                ? [revision] : ["refs/heads/\(revision)", "refs/tags/\(revision)", "refs/\(revision)"]
            for name in names {
                if let found = try GitMirror.commit(ofReference: name, in: repository) { return found }
            }
            if isHex, let found = try findCommit(startingWith: revision, in: repository) { return found }
            throw GitError(
                .notFound, "there is no branch, tag or commit '\(revision)'", hint: "check the name; if it was just pushed, fetch again")
        }
    }

    /// All references with the commits they lead to, by full name. References to something else than a commit are left out.
    public func references() async throws -> [String: CommitID] {
        try await withRepository { repository, _ in try GitMirror.references(in: repository) }
    }

    /// The branch that the source's `HEAD` named at the last fetch, for example `main`; nil when there is none yet.
    public func defaultBranch() async throws -> String? {
        try await withRepository { repository, _ in
            var head: OpaquePointer?
            try check(git_reference_lookup(&head, repository, "HEAD"), "cannot read HEAD")
            defer { git_reference_free(head) }
            guard let target = git_reference_symbolic_target(head).map({ String(cString: $0) }), target.hasPrefix("refs/heads/"),
                try GitMirror.commit(ofReference: target, in: repository) != nil
            else { return nil }
            return String(target.dropFirst("refs/heads/".count))
        }
    }

    static func references(in repository: OpaquePointer) throws -> [String: CommitID] {
        try lend("cannot list the references", open: { git_reference_iterator_new(&$0, repository) }, free: git_reference_iterator_free) {
            iterator in
            var found: [String: CommitID] = [:]
            var reference: OpaquePointer?
            while true {
                let result = git_reference_next(&reference, iterator)
                if result == GIT_ITEROVER.rawValue { return found }
                try check(result, "cannot list the references")
                guard let current = reference, let name = git_reference_name(current) else { continue }
                defer { git_reference_free(current) }
                if let commit = try commit(of: current) { found[String(cString: name)] = commit }
            }
        }
    }

    /// The commit a reference leads to; nil when there is no such reference.
    private static func commit(ofReference name: String, in repository: OpaquePointer) throws -> CommitID? {
        var reference: OpaquePointer?
        let result = git_reference_lookup(&reference, repository, name)
        switch git_error_code(result) {
        case GIT_ENOTFOUND, GIT_EINVALIDSPEC: return nil
        default: try check(result, "cannot read the reference '\(name)'")
        }
        guard let reference else { return nil }
        defer { git_reference_free(reference) }
        return try commit(of: reference)
    }

    /// Follows symbolic references and annotated tags; nil when they end at something else than a commit, or nowhere.
    private static func commit(of reference: OpaquePointer) throws -> CommitID? {
        var object: OpaquePointer?
        let result = git_reference_peel(&object, reference, GIT_OBJECT_COMMIT)
        switch git_error_code(result) {
        case GIT_ENOTFOUND, GIT_EPEEL, GIT_EINVALIDSPEC: return nil
        default: try check(result, "cannot follow a reference")
        }
        guard let object else { return nil }
        defer { git_object_free(object) }
        return git_object_id(object).map { CommitID($0.pointee) }
    }
}

/// The commit whose id, or the id of a tag leading to it, starts with the digits; nil when there is none.
private func findCommit(startingWith digits: String, in repository: OpaquePointer) throws -> CommitID? {
    var prefix = git_oid()
    try check(git_oid_fromstrn(&prefix, digits, digits.utf8.count), "'\(digits)' is not an id")
    var object: OpaquePointer?
    let result = git_object_lookup_prefix(&object, repository, &prefix, digits.utf8.count, GIT_OBJECT_ANY)
    switch git_error_code(result) {
    case GIT_ENOTFOUND: return nil
    case GIT_EAMBIGUOUS:
        throw GitError(.ambiguous, "'\(digits)' is the beginning of more than one id", hint: "give more digits")
    default: try check(result, "cannot look up '\(digits)'")
    }
    defer { git_object_free(object) }
    var peeled: OpaquePointer?
    guard git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) == 0 else { return nil }
    defer { git_object_free(peeled) }
    return git_object_id(peeled).map { CommitID($0.pointee) }
}
