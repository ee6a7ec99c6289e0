public import FoundationEssentials

/// What is known of a container at one moment.
public struct ContainerObservation: Sendable, Hashable {
    public enum State: Sendable, Hashable {
        /// Asked for, and not running yet. It stays so when the server died while starting it:
        /// ``ContainerRuntime/start(_:fence:)`` begins again, ``ContainerRuntime/remove(_:fence:)`` cleans up.
        case created
        case running
        case exited(ExitStatus)
    }

    public var id: String
    /// As given in the spec; empty when the spec was never completely written.
    public var labels: [String: String]
    public var state: State
    /// IPv4 address on the bridge while it is there.
    public var address: String?
    /// The container's first process, as this machine counts.
    public var pid: Int32?
    public var startedAt: Date?
    /// When its first process began, while it runs: time since boot, which nobody can set.
    public var startedAfterBoot: Duration?

    /// How long its first process has run by now.
    public var age: Duration? { startedAfterBoot.flatMap { begun in ProcessRecord.sinceBoot().map { max(.zero, $0 - begun) } } }

    public init(
        id: String, labels: [String: String], state: State, address: String? = nil, pid: Int32? = nil,
        startedAt: Date? = nil, startedAfterBoot: Duration? = nil
    ) {
        self.id = id
        self.labels = labels
        self.state = state
        self.address = address
        self.pid = pid
        self.startedAt = startedAt
        self.startedAfterBoot = startedAfterBoot
    }
}

/// How a container ended.
public struct ExitStatus: Codable, Sendable, Hashable {
    /// The exit code; 128 + n after signal n; -1 when nobody was left to record it (the machine went down).
    public var code: Int32
    /// The kernel killed a process of the container because its memory limit was reached.
    public var outOfMemory: Bool

    public init(code: Int32, outOfMemory: Bool = false) {
        self.code = code
        self.outOfMemory = outOfMemory
    }

    /// Ended, and nobody recorded how.
    public static let lost = ExitStatus(code: -1)
}

/// One line of `slipway doctor`.
public struct DoctorFinding: Sendable, Hashable {
    public var name: String
    public var ok: Bool
    /// What was found.
    public var message: String
    /// What to do about it; nil when all is well.
    public var hint: String?

    public init(name: String, ok: Bool, message: String, hint: String? = nil) {
        self.name = name
        self.ok = ok
        self.message = message
        self.hint = hint
    }
}
