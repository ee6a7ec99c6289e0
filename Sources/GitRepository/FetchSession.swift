import BlockingQueue
import CLibgit2
import Glibc

/// What libgit2's callbacks need and learn during one fetch. Lives on one thread, inside one blocking call.
final class FetchSession {
    let url: GitURL
    let credentials: GitCredentials?
    let cancellation: Cancellation
    private let watch: ConnectionWatch
    private let report: (GitProgress) -> Void
    /// Why a callback gave up; says more than libgit2's own message.
    private(set) var refusal: GitError?
    private var userGiven = false
    private var secretGiven = false
    private var nextReport = ContinuousClock.now

    init(url: GitURL, credentials: GitCredentials?, watch: ConnectionWatch, report: @escaping (GitProgress) -> Void) {
        self.url = url
        self.credentials = credentials
        self.watch = watch
        self.cancellation = watch.cancellation
        self.report = report
    }

    /// Callbacks that lead to this object, which must outlive their use.
    func callbacks() throws(GitError) -> git_remote_callbacks {
        var callbacks = git_remote_callbacks()
        try check(git_remote_init_callbacks(&callbacks, UInt32(GIT_REMOTE_CALLBACKS_VERSION)), "cannot prepare the fetch")
        callbacks.payload = Unmanaged.passUnretained(self).toOpaque()
        callbacks.sideband_progress = { _, _, payload in FetchSession.from(payload)?.goOn ?? 0 }
        callbacks.pack_progress = { _, _, _, payload in FetchSession.from(payload)?.goOn ?? 0 }
        callbacks.transfer_progress = { progress, payload in
            guard let session = FetchSession.from(payload) else { return 0 }
            if let progress { session.show(progress.pointee, last: false) }
            return session.goOn
        }
        callbacks.credentials = { out, _, user, allowed, payload in
            guard let session = FetchSession.from(payload), let out else { return GIT_EAUTH.rawValue }
            return session.credential(out, user: user.map { String(cString: $0) }, allowed: allowed)
        }
        return callbacks
    }

    private static func from(_ payload: UnsafeMutableRawPointer?) -> FetchSession? {
        payload.map { Unmanaged<FetchSession>.fromOpaque($0).takeUnretainedValue() }
    }

    /// What a callback returns to continue, or to stop when nobody waits any more.
    private var goOn: Int32 { cancellation.isCancelled ? GIT_EUSER.rawValue : 0 }

    /// At most ten reports a second, and the last one.
    func show(_ progress: git_indexer_progress, last: Bool) {
        let now = ContinuousClock.now
        guard last || now >= nextReport else { return }
        nextReport = now + .milliseconds(100)
        report(
            GitProgress(
                totalObjects: Int(progress.total_objects), receivedObjects: Int(progress.received_objects),
                indexedObjects: Int(progress.indexed_objects), receivedBytes: Int64(progress.received_bytes)))
    }

    /// Throws what a failed call of libgit2 means. Must be called on its thread, before any other call.
    func verify(_ result: Int32, _ operation: String) throws {
        guard result < 0 else { return }
        var error = GitError(libgit2: result, "\(operation) '\(url)'")
        if cancellation.isCancelled { throw CancellationError() }
        if let reason = refusal ?? watch.failure { error = reason }
        let message = (credentials?.secrets ?? []).filter { !$0.isEmpty }.reduce(error.message) { $0.replacing($1, with: "***") }
        throw GitError(error.code, message, hint: error.hint.isEmpty ? FetchSession.hint(error.code) : error.hint)
    }

    private static func hint(_ code: GitError.Code) -> String {
        switch code {
        case .unreachable: "check the URL, and that the server is up and lets this machine in"
        case .untrustedServer: "install the server's certificate authority, or add its host key to known_hosts (ssh-keyscan HOST)"
        case .notFound, .notARepository: "check that the URL names a git repository, and that the credentials may read it"
        case .locked: "another process works on the mirror; try again"
        case .fileSystem: "check the disk space and permissions of the mirror"
        case .corrupt: "the source or the mirror is damaged: check the source with 'git fsck'; a removed mirror is fetched anew"
        case .authenticationFailed, .authenticationRequired: "check the project's credentials"
        case .ambiguous, .invalid, .unsupported, .refused, .tooLarge, .failed: ""
        }
    }

    // MARK: Credentials

    /// libgit2 asks again and again until the server is content: each kind is answered once.
    private func credential(
        _ out: UnsafeMutablePointer<UnsafeMutablePointer<git_credential>?>, user: String?, allowed: UInt32
    ) -> Int32 {
        guard let credentials else {
            return refuse(
                .authenticationRequired, "'\(url)' asks for credentials and the project has none",
                url.kind == .ssh
                    ? "give the project an ssh key that may read the repository"
                    : "give the project a token or a user and password that may read the repository; also check the URL, some servers ask instead of saying 'not found'"
            )
        }
        let account = account(urlUser: user)
        if allowed & GIT_CREDENTIAL_USERNAME.rawValue != 0, !userGiven {
            userGiven = true
            return git_credential_username_new(out, account)
        }
        guard !secretGiven else {
            return refuse(
                .authenticationFailed, "'\(url)' refused the \(credentials)",
                url.kind == .ssh
                    ? "check that the key may read the repository and its passphrase is right; prefer an ed25519 key, libssh2 offers RSA keys only with SHA-1, which current servers refuse"
                    : "check that it is not expired and may read the repository")
        }
        secretGiven = true
        let password = allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT.rawValue != 0
        switch credentials {
        case .userPassword(_, let secret) where password, .token(let secret) where password && url.kind == .http:
            return git_credential_userpass_plaintext_new(out, account, secret)
        case .sshKey(let path, let passphrase) where allowed & GIT_CREDENTIAL_SSH_KEY.rawValue != 0:
            guard access(path, R_OK) == 0 else {
                return refuse(.authenticationFailed, "the ssh key '\(path)' cannot be read", "check the path and its permissions")
            }
            let publicKey = path + ".pub"
            return git_credential_ssh_key_new(out, account, access(publicKey, R_OK) == 0 ? publicKey : nil, path, passphrase)
        case .userPassword, .token, .sshKey:
            return refuse(
                .authenticationFailed, "'\(url)' does not take a \(credentials)",
                url.kind == .ssh ? "give the project an ssh key" : "give the project a token or a user and password")
        }
    }

    private func account(urlUser: String?) -> String {
        switch credentials {
        case .userPassword(let user, _): user
        case .token: urlUser ?? "x-access-token"
        case .sshKey, nil: urlUser ?? "git"
        }
    }

    private func refuse(_ code: GitError.Code, _ message: String, _ hint: String) -> Int32 {
        refusal = GitError(code, message, hint: hint)
        return GIT_EAUTH.rawValue
    }
}
