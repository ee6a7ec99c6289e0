import CLibgit2

/// The process-wide state of libgit2.
public enum GitLibrary {
    /// Prepares libgit2; further calls do nothing. Call it once at the start of the executable.
    ///
    /// Repositories owned by other users are accepted: mirrors are our own, and a local source is only read, its hooks and
    /// configuration never run.
    public static func initialise() { _ = once }

    private static let once: Void = {
        git_libgit2_init()
        slipway_git_set_owner_validation(0)
        SocketStream.register()
    }()
}

/// Throws for every result of libgit2 that is not success. Must be called on the thread of the failed call, before any other call:
/// the message is thread-local.
@discardableResult
func check(_ result: Int32, _ operation: @autoclosure () -> String) throws(GitError) -> Int32 {
    guard result < 0 else { return result }
    throw GitError(libgit2: result, operation())
}

/// Lends the object that `open` makes to `use`, and frees it exactly once.
func lend<R>(
    _ operation: @autoclosure () -> String, open: (inout OpaquePointer?) -> Int32, free: (OpaquePointer) -> Void,
    use: (OpaquePointer) throws -> R
) throws -> R {
    var pointer: OpaquePointer?
    try check(open(&pointer), operation())
    guard let pointer else { throw GitError(.failed, "\(operation()): libgit2 returned nothing") }
    defer { free(pointer) }
    return try use(pointer)
}

extension GitError {
    /// The meaning of a libgit2 result, with the message that libgit2 left on this thread.
    init(libgit2 result: Int32, _ operation: String) {
        let last = git_error_last()?.pointee
        // A message of the server may have several lines.
        let lines = last?.message.map { String(cString: $0).prefix(2000).split(whereSeparator: \.isNewline) } ?? []
        let detail = lines.isEmpty ? "libgit2 error \(result)" : lines.joined(separator: "; ")
        let code: Code
        switch git_error_code(result) {
        case GIT_ENOTFOUND, GIT_EUNBORNBRANCH: code = .notFound
        case GIT_EAMBIGUOUS: code = .ambiguous
        case GIT_EINVALIDSPEC, GIT_EINVALID, GIT_EPEEL, GIT_EDIRECTORY: code = .invalid
        case GIT_EAUTH: code = .authenticationFailed
        case GIT_ECERTIFICATE: code = .untrustedServer
        case GIT_ELOCKED, GIT_EMODIFIED: code = .locked
        case GIT_EOWNER: code = .notARepository
        case GIT_EMISMATCH: code = .corrupt
        case GIT_EEOF: code = .unreachable
        case GIT_ERROR: code = Code(errorClass: last?.klass ?? 0)
        case GIT_EEXISTS, GIT_EBUFS, GIT_EUSER, GIT_EBAREREPO, GIT_EUNMERGED, GIT_ENONFASTFORWARD, GIT_ECONFLICT, GIT_EAPPLIED,
            GIT_EUNCOMMITTED, GIT_EMERGECONFLICT, GIT_PASSTHROUGH, GIT_ITEROVER, GIT_RETRY, GIT_EINDEXDIRTY, GIT_EAPPLYFAIL:
            code = .failed
        default: code = .failed
        }
        self.init(code, GitURL.redacted("\(operation): \(detail)"))
    }
}

extension GitError.Code {
    /// What a failure without a specific result is about.
    fileprivate init(errorClass: Int32) {
        switch git_error_t(UInt32(bitPattern: errorClass)) {
        case GIT_ERROR_NET, GIT_ERROR_HTTP, GIT_ERROR_SSH: self = .unreachable
        case GIT_ERROR_REPOSITORY: self = .notARepository
        case GIT_ERROR_SSL: self = .untrustedServer
        case GIT_ERROR_OS, GIT_ERROR_FILESYSTEM: self = .fileSystem
        case GIT_ERROR_ZLIB, GIT_ERROR_ODB, GIT_ERROR_OBJECT, GIT_ERROR_TREE, GIT_ERROR_INDEXER, GIT_ERROR_SHA: self = .corrupt
        default: self = .failed
        }
    }
}
