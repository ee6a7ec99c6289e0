public import SystemPackage

/// Where the parts of this machine are that a ``ContainerRuntime`` uses.
public struct RuntimeSettings: Codable, Sendable, Hashable {
    /// The OCI runtime: `runc`, or another with the same command line (`crun`). A name is looked up in `searchPath`.
    public var runtime = "runc"
    public var conmon = "conmon"
    public var cniPluginFolder: FilePath = "/usr/lib/cni"
    /// The name under which addresses are reserved; runtimes that share a bridge must share it.
    public var networkName = "slipway"
    /// Interface name, at most 15 characters; made when missing.
    public var bridge = "slipway0"
    /// IPv4 range of the bridge, in CIDR notation.
    public var subnet = "10.83.0.0/16"
    /// Containers on the bridge reach other networks through this machine (`iptables` rules, made once).
    public var masquerade = true
    /// DNS servers for containers; nil takes this machine's, without those that listen on loopback only.
    public var nameservers: [String]?
    /// What may be lost when the machine goes down: on a memory file system, with a short path (a socket lives below).
    /// nil: a folder below `/run/slipway` that belongs to this runtime's root.
    public var stateFolder: FilePath?
    /// Control group above the containers', from the top of the hierarchy. nil: one that belongs to this runtime's root.
    public var cgroup: String?
    /// Where addresses are reserved, see `networkName`.
    public var networkFolder: FilePath = "/run/slipway/networks"
    /// A container's log begins anew when it reaches this size, in bytes.
    public var logLimit: Int64 = 256 << 20
    /// How many operations may run at once.
    public var concurrency = 8
    /// How long a container that another process works on is waited for.
    public var lockPatience: Duration = .seconds(10)
    /// Folders with `runc`, `conmon`, `iptables`.
    public var searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    public init() {}
}
