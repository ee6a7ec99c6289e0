/// RUN: a command in a container over the stage's tree.
public struct RunInstruction: Sendable, Hashable {
    public enum Command: Sendable, Hashable {
        case exec([String])
        /// One argument for the stage's shell. Heredocs that the shell has to handle itself (`RUN cat <<EOF > x`)
        /// are part of the text, after the first line.
        case shell(String)
        /// `RUN <<NAME` and nothing else, with a first line `#!…`: the content becomes an executable file
        /// (mode 0755, `/dev/pipes/NAME` in BuildKit) whose path is given to the stage's shell.
        case script(name: String, content: String)
    }

    public enum Network: String, Sendable, Hashable, CaseIterable {
        case `default`
        case none
        case host
    }

    public enum Security: String, Sendable, Hashable, CaseIterable {
        case sandbox
        case insecure
    }

    public var command: Command
    /// In the order written; options may hold variables, so resolve them with ``MountFlag/resolved(in:)``.
    public var mounts: [MountFlag]
    public var network: Network
    public var security: Security

    public init(
        command: Command, mounts: [MountFlag] = [], network: Network = .default, security: Security = .sandbox
    ) {
        self.command = command
        self.mounts = mounts
        self.network = network
        self.security = security
    }
}

/// One `RUN --mount=…` with every option read.
public enum Mount: Sendable, Hashable {
    /// A file or folder of the build context (from is nil), a stage or an image.
    case bind(BindMount)
    /// A folder kept from build to build.
    case cache(CacheMount)
    case tmpfs(target: String, size: Int64?)
    case secret(SecretMount)
    case ssh(SSHMount)
}

public struct BindMount: Sendable, Hashable {
    /// nil: the build context.
    public var from: String?
    /// Inside the origin; `/` when not given.
    public var source: String
    public var target: String
    /// False: writes are seen by this RUN only, and thrown away.
    public var isReadOnly: Bool

    public init(from: String?, source: String, target: String, isReadOnly: Bool) {
        self.from = from
        self.source = source
        self.target = target
        self.isReadOnly = isReadOnly
    }
}

public struct CacheMount: Sendable, Hashable {
    public enum Sharing: String, Sendable, Hashable, CaseIterable {
        /// Many writers at once.
        case shared
        /// A new folder when another build uses it.
        case `private`
        /// The second waits for the first.
        case locked
    }

    /// The target when not given.
    public var id: String
    public var target: String
    public var sharing: Sharing
    public var isReadOnly: Bool
    /// What the folder holds at first; nil: empty.
    public var from: String?
    /// Inside `from`; `/` when not given.
    public var source: String
    /// Permission bits of a new folder, 0755 when not given.
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32

    public init(
        id: String, target: String, sharing: Sharing = .shared, isReadOnly: Bool = false, from: String? = nil,
        source: String = "/", mode: UInt32 = 0o755, uid: UInt32 = 0, gid: UInt32 = 0
    ) {
        self.id = id
        self.target = target
        self.sharing = sharing
        self.isReadOnly = isReadOnly
        self.from = from
        self.source = source
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }
}

public struct SecretMount: Sendable, Hashable {
    /// The last component of the target when not given.
    public var id: String
    /// Where the file is; nil: only the variable is wanted.
    public var target: String?
    /// The variable that gets the value.
    public var variable: String?
    /// Fail when the secret is not there.
    public var isRequired: Bool
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32

    public init(
        id: String, target: String?, variable: String?, isRequired: Bool, mode: UInt32 = 0o400, uid: UInt32 = 0,
        gid: UInt32 = 0
    ) {
        self.id = id
        self.target = target
        self.variable = variable
        self.isRequired = isRequired
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }
}

public struct SSHMount: Sendable, Hashable {
    /// `default` when not given.
    public var id: String
    /// Where the agent's socket is; nil: `/run/buildkit/ssh_agent.N`, N counting the instruction's ssh mounts.
    public var target: String?
    public var isRequired: Bool
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32

    public init(
        id: String, target: String?, isRequired: Bool, mode: UInt32 = 0o600, uid: UInt32 = 0, gid: UInt32 = 0
    ) {
        self.id = id
        self.target = target
        self.isRequired = isRequired
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }
}
