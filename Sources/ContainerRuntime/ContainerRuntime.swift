import BlockingQueue
import FoundationEssentials
import Glibc
public import SystemPackage

/// Runs containers with runc, conmon, overlayfs and CNI, and finds them again.
///
/// A container outlives the process that started it: conmon keeps its log and exit code in files, so every operation
/// works from another value, or another process, over the same root. Operations on one id exclude each other, also
/// between processes; those that ask never wait for those that act.
public struct ContainerRuntime: Sendable {
    /// The folder of the containers, absolute.
    public let root: FilePath
    public let settings: RuntimeSettings
    let state: FilePath
    /// Tells containers of several roots apart where the machine has one name space: cgroups, addresses.
    let scope: String
    let queue: BlockingQueue
    /// Asking is quick and must not wait behind starts.
    let readers: BlockingQueue
    /// Programs that run beside a container's own take their time.
    let programs: BlockingQueue

    /// - Parameter root: the folder `containers/`, made when missing; not on overlayfs.
    public init(root: FilePath, settings: RuntimeSettings = RuntimeSettings()) {
        let absolute = root.isAbsolute ? root : FilePath(FileManager.default.currentDirectoryPath).pushing(root)
        self.root = absolute.lexicallyNormalized()
        self.settings = settings
        self.scope = Self.fingerprint(self.root.string)
        self.state = settings.stateFolder ?? FilePath("/run/slipway").appending(scope)
        self.queue = BlockingQueue(label: "containers", width: settings.concurrency)
        self.readers = BlockingQueue(label: "containers.read", width: 2)
        self.programs = BlockingQueue(label: "containers.programs", width: 16)
    }

    /// The container's log in conmon's k8s-file format, for ``LogReader``. Gone after ``remove(_:fence:)``.
    public func logFile(_ id: String) -> FilePath { paths(id).log }

    /// A reader of the container's log that shares the runtime's threads.
    public func log(_ id: String) -> LogReader { LogReader(file: logFile(id), queue: readers) }

    func paths(_ id: String) -> ContainerPaths {
        ContainerPaths(id: id, folder: root.appending(id), state: state)
    }

    func cgroup(_ id: String) -> String { "/\(settings.cgroup ?? "slipway/\(scope)")/\(id)" }

    func network(_ paths: ContainerPaths) -> BridgeNetwork {
        BridgeNetwork(settings: settings, paths: paths, containerID: "\(scope)-\(paths.id)")
    }

    /// FNV-1a, 64 bits: short enough for a path with a socket below it.
    private static func fingerprint(_ text: String) -> String {
        let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}
