import SystemPackage

/// A reverse proxy that runs beside us as a daemon and reads its routes from a file: what differs from one to the next.
/// Paths are relative to the router's folder, its working directory.
protocol RouterProgram: Sendable {
    /// Where the program looks for its configuration.
    var configuration: String { get }
    var listenAddress: String { get }
    var listenPort: Int { get }
    var confirmTimeout: Duration { get }
    /// For how long answers ask clients to open a new connection before workers are replaced.
    var handover: Duration { get }
    /// Nil: no HTTPS.
    var tls: RouterTLS? { get }
    /// Folders that it needs beside those of every router, with their modes.
    var folders: [(name: String, mode: UInt32)] { get }

    func render(_ table: RouteTable) -> String
    /// Small files that the configuration refers to.
    func attachments(_ table: RouteTable) -> [String: String]
    /// Throws when the program refuses a configuration.
    func test(_ file: String) async throws
    /// The process that is told what to do; nil when it does not run. One that is not ours does not count.
    func master() -> Int32?
    /// The processes that serve requests, those that only finish old ones included.
    func workers(of master: Int32) -> [(pid: Int32, leaving: Bool)]
    /// Asks processes for an end that were left when their master was killed, and that keep its port; they finish the requests they
    /// have. Called while there is no master.
    ///
    /// - Returns: whether there are any.
    func dismissOrphans() throws -> Bool
    /// Starts the daemon; returns once it listens.
    func start() async throws
    /// Whether running workers can be made to do what a new table says, without replacing them.
    func canAdjust(from old: RouteTable, to new: RouteTable) -> Bool
    /// Does it; false when they are not what `old` says, or do not listen.
    func adjust(from old: RouteTable, to new: RouteTable) async throws -> Bool
    /// Makes answers of a generation ask their clients for a new connection, and waits for ``handover``.
    func askOver(generation: Int) async
    /// What ``askOver(generation:)`` left behind is not wanted any more.
    func forget(generation: Int)
    /// Whether instances that are in force, but get no new requests, have none left.
    func areIdle(in table: RouteTable) async throws -> Bool
    func reload(_ master: Int32) async throws
    /// Asks for an end after the requests it has.
    func quit(_ master: Int32) async throws
    /// Begins new logs where they are larger than they may be.
    func rotateLogs(_ log: TrafficCounts) async throws
}

extension RouterProgram {
    var tls: RouterTLS? { nil }
    func dismissOrphans() throws -> Bool { false }
    func attachments(_ table: RouteTable) -> [String: String] { [:] }
    func canAdjust(from old: RouteTable, to new: RouteTable) -> Bool { false }
    func adjust(from old: RouteTable, to new: RouteTable) async throws -> Bool { false }
    func forget(generation: Int) {}
    func areIdle(in table: RouteTable) async throws -> Bool { true }
}

/// The page by which a router says which generation answers; only for callers on this machine.
enum GenerationPage {
    static let host = "_slipway_generation"
    static let header = "X-Slipway-Generation"
}
