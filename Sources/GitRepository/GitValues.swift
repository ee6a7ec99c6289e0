/// What a commit says about itself.
public struct CommitInfo: Hashable, Sendable, Codable {
    public let id: CommitID
    /// The id of the root tree, 40 hexadecimal digits: equal trees have equal content.
    public let tree: String
    public let parents: [CommitID]
    public let authorName: String
    public let authorEmail: String
    /// Seconds since 1970-01-01 UTC.
    public let authorTime: Int64
    /// Seconds since 1970-01-01 UTC.
    public let committerTime: Int64
    /// The first paragraph of the message, on one line.
    public let summary: String
    /// The whole message, at most 64 KiB of it.
    public let message: String
}

/// One entry of a folder at a commit.
public struct GitEntry: Hashable, Sendable, Codable {
    public enum Kind: String, Sendable, Codable { case file, executable, symlink, folder, submodule }

    /// The name inside its folder. Bytes that are not UTF-8 are shown as U+FFFD.
    public let name: String
    public let kind: Kind
    /// The id of the blob, tree or (submodule) commit, 40 hexadecimal digits.
    public let id: String
}

/// How far a fetch is. Numbers only grow within one fetch.
public struct GitProgress: Hashable, Sendable {
    /// How many objects the other side will send; 0 while not known.
    public let totalObjects: Int
    public let receivedObjects: Int
    public let indexedObjects: Int
    public let receivedBytes: Int64
}

/// How a fetch proves who it is.
public enum GitCredentials: Sendable {
    /// For `http`, `https` and `ssh` with a password.
    case userPassword(user: String, password: String)
    /// An access token for `http` and `https`, sent as the password. The user is the one in the URL, else `x-access-token`, which
    /// GitHub, GitLab, Gitea and Forgejo accept.
    case token(String)
    /// The path of a private key file for `ssh`; `<path>.pub` is used when it exists. The user is the one in the URL, else `git`.
    case sshKey(path: String, passphrase: String? = nil)

    /// Texts that must not appear in any message.
    var secrets: [String] {
        switch self {
        case .userPassword(_, let password): [password]
        case .token(let token): [token]
        case .sshKey(_, let passphrase): passphrase.map { [$0] } ?? []
        }
    }
}

extension GitCredentials: CustomStringConvertible, CustomDebugStringConvertible {
    /// Names the kind only, so that credentials cannot end in a log by accident.
    public var description: String {
        switch self {
        case .userPassword: "user and password"
        case .token: "token"
        case .sshKey: "ssh key"
        }
    }

    public var debugDescription: String { description }
}
