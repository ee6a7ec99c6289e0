/// What to run: everything a container needs, as plain values.
public struct ContainerSpec: Codable, Sendable, Hashable {
    /// A folder or file of this machine that the container sees.
    public struct Mount: Codable, Sendable, Hashable {
        /// Absolute path on this machine; it must exist.
        public var source: String
        /// Absolute path in the container; made when missing.
        public var destination: String
        public var readOnly: Bool

        public init(source: String, destination: String, readOnly: Bool = false) {
            self.source = source
            self.destination = destination
            self.readOnly = readOnly
        }
    }

    /// A file system in memory, empty at the start and gone at the end.
    public struct MemoryMount: Codable, Sendable, Hashable {
        /// Absolute path in the container.
        public var destination: String
        /// Upper bound in bytes; nil is half of the machine's memory (tmpfs(5)).
        public var sizeBytes: Int64?

        public init(destination: String, sizeBytes: Int64? = nil) {
            self.destination = destination
            self.sizeBytes = sizeBytes
        }
    }

    /// A file the container sees, which is in memory only: its bytes reach no disk.
    public struct MemoryFile: Codable, Sendable, Hashable {
        /// Absolute path in the container.
        public var destination: String
        public var content: [UInt8]
        /// Permission bits.
        public var mode: UInt32
        public var uid: UInt32
        public var gid: UInt32

        public init(destination: String, content: [UInt8], mode: UInt32 = 0o400, uid: UInt32 = 0, gid: UInt32 = 0) {
            self.destination = destination
            self.content = content
            self.mode = mode
            self.uid = uid
            self.gid = gid
        }
    }

    /// Upper bounds; `nil` is unlimited.
    public struct Limits: Codable, Sendable, Hashable {
        /// Memory and swap together, in bytes.
        public var memoryBytes: Int64?
        /// Processor time, in cores: 0.5 is half of one.
        public var cpus: Double?
        /// Processes and threads.
        public var pids: Int?

        public init(memoryBytes: Int64? = nil, cpus: Double? = nil, pids: Int? = nil) {
            self.memoryBytes = memoryBytes
            self.cpus = cpus
            self.pids = pids
        }
    }

    public enum Network: String, Codable, Sendable, Hashable {
        /// Loopback only.
        case none
        /// An address of its own on the runtime's bridge, reachable from this machine.
        case bridge
        /// This machine's own network.
        case host
    }

    /// `[a-z0-9-]`, 1 to 63 characters, unique per ``ContainerRuntime``.
    public var id: String
    /// Unpacked layers (absolute folders), bottom first, with whiteouts as overlayfs reads them. None is an empty root.
    public var layers: [String]
    /// The program and its arguments; the program is looked up in the container's `PATH`.
    public var arguments: [String]
    /// `KEY=value`; a `PATH` is added when there is none.
    public var environment: [String]
    /// Absolute; empty means `/`. Made when missing.
    public var workingDirectory: String
    /// `""` (root), `user`, `user:group`; each a number or a name of the image's `/etc/passwd` and `/etc/group`.
    public var user: String
    public var mounts: [Mount]
    public var limits: Limits
    /// The root cannot be written; `/tmp` and `/run` are in memory.
    public var readOnlyRoot: Bool
    public var network: Network
    /// IPv4 address on the bridge that it is to have; another one when somebody has that. Nil: any.
    public var address: String?
    /// The caller's own marks, given back by every observation.
    public var labels: [String: String]
    /// `nil`: the id. What a host name cannot have (hostname(7)) becomes `-`.
    public var hostname: String?
    /// Linux capabilities, with or without `CAP_`: ``stepCapabilities``, ``instanceCapabilities`` or your own.
    public var capabilities: [String]
    public var memoryMounts: [MemoryMount]
    public var memoryFiles: [MemoryFile]
    /// Programs with a setuid bit get their owner's rights (`sudo`, `su`).
    public var allowsNewPrivileges: Bool
    /// What is mounted leaves no trace in ``ContainerRuntime/changes(of:)``: mount points that the layers lack are made
    /// in a layer of their own.
    public var hidesMountPoints: Bool
    /// Absolute path of a log that this container's output is to go on with; one that is not there is left out. On the
    /// file system of ``ContainerRuntime``'s root. Nil: the container has a log of its own.
    public var continuedLog: String?

    public init(
        id: String, layers: [String], arguments: [String], environment: [String] = [], workingDirectory: String = "",
        user: String = "", mounts: [Mount] = [], limits: Limits = Limits(), readOnlyRoot: Bool = false,
        network: Network = .none, labels: [String: String] = [:], hostname: String? = nil,
        capabilities: [String] = ContainerSpec.instanceCapabilities, memoryMounts: [MemoryMount] = [],
        memoryFiles: [MemoryFile] = [], allowsNewPrivileges: Bool = false, hidesMountPoints: Bool = false,
        continuedLog: String? = nil, address: String? = nil
    ) {
        self.id = id
        self.layers = layers
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.user = user
        self.mounts = mounts
        self.limits = limits
        self.readOnlyRoot = readOnlyRoot
        self.network = network
        self.labels = labels
        self.hostname = hostname
        self.capabilities = capabilities
        self.memoryMounts = memoryMounts
        self.memoryFiles = memoryFiles
        self.allowsNewPrivileges = allowsNewPrivileges
        self.hidesMountPoints = hidesMountPoints
        self.continuedLog = continuedLog
        self.address = address
    }

    /// Enough for a build step that installs packages and changes owners as root.
    public static let stepCapabilities = [
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETFCAP", "KILL", "NET_BIND_SERVICE",
    ]
    /// What image builds are used to: package managers, `mknod`, `chroot`, `setcap`.
    public static let buildCapabilities =
        stepCapabilities + ["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETPCAP", "SYS_CHROOT"]
    /// Enough for a service that listens on port 80.
    public static let instanceCapabilities = ["NET_BIND_SERVICE"]
}

extension ContainerSpec {
    /// At most 63 letters, digits, `-` and `.`, for it goes into files line by line.
    var usableHostname: String {
        let name = (hostname ?? id).unicodeScalars.prefix(63).map { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || (0x30...0x39).contains(scalar.value) || scalar == ".")
                ? Character(scalar) : "-"
        }
        return name.isEmpty ? id : String(name)
    }

    /// Whether a container may have that id.
    public static func isValid(id: String) -> Bool {
        (1...63).contains(id.utf8.count)
            && id.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
    }

    /// Refuses what the runtime would refuse later with worse words.
    func validate() throws(ContainerError) {
        func refuse(_ message: String, _ hint: String) -> ContainerError {
            ContainerError(.invalidSpec, "container \(id): \(message)", hint: hint)
        }
        guard Self.isValid(id: id) else {
            throw refuse("not a valid id", "use 1 to 63 characters of a-z, 0-9 and -")
        }
        guard let program = arguments.first, !program.isEmpty else {
            throw refuse("nothing to run", "give a command, or use an image with an entrypoint")
        }
        let destinations = mounts.map(\.destination) + memoryMounts.map(\.destination) + memoryFiles.map(\.destination)
        guard (arguments + environment + destinations).allSatisfy({ !$0.utf8.contains(0) }) else {
            throw refuse("a zero byte in an argument", "remove it")
        }
        for entry in environment where !entry.contains("=") || entry.hasPrefix("=") {
            throw refuse("'\(entry.prefix(40))' is not an environment entry", "write KEY=value")
        }
        for path in layers + mounts.map(\.source) + destinations where !path.hasPrefix("/") {
            throw refuse("'\(path)' is not an absolute path", "begin it with /")
        }
        guard workingDirectory.isEmpty || workingDirectory.hasPrefix("/") else {
            throw refuse("working directory '\(workingDirectory)' is not absolute", "begin it with /")
        }
        if let address, !address.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2e }) {
            throw refuse("'\(address)' is not an IPv4 address", "write one of the bridge's, or leave it out")
        }
        if let memory = limits.memoryBytes, memory < 6 << 20 {
            throw refuse("a memory limit of \(memory) bytes is too small", "give at least 6 MiB")
        }
        if let cpus = limits.cpus, !(cpus >= 0.01 && cpus <= 4096) {
            throw refuse("a limit of \(cpus) cpus is out of range", "give 0.01 or more")
        }
        if let pids = limits.pids, pids < 1 {
            throw refuse("a limit of \(pids) processes is too small", "give at least 1")
        }
    }
}
