import BlockingQueue
import SystemPackage

/// A router's program and its files, and the order in which they change.
///
/// Everything lies in one folder: `routes.json` (what is wanted), the configuration rendered from it, `conf/<generation>.conf`
/// (the last ones), logs, pid and temporary files. The program is a daemon that outlives this process; a router made later on the same
/// folder finds it again.
///
/// A change is: render, have it tested, write the routes, rename the configuration in, ask busy clients over, reload. Changes
/// run one after another, file work on a private thread. Several processes may have a router on one folder: the routes are
/// written under a lock, and a change that another process was faster than begins anew with what that one wrote.
public struct RouterDaemon: Sendable {
    let folder: FilePath
    let program: any RouterProgram
    let probe: any HTTPProbe
    let counts: TrafficCounts
    let queue = BlockingQueue(label: "router", width: 1)
    private let gate = Gate()

    init(folder: FilePath, program: any RouterProgram, probe: any HTTPProbe, format: any TrafficFormat & Sendable) throws {
        guard RouteValidation.isAddress(program.listenAddress), (1...65535).contains(program.listenPort) else {
            throw DeployerError(
                .invalidValue, "the router cannot listen on \(program.listenAddress) port \(program.listenPort)",
                hint: "use an IP address and a port from 1 to 65535")
        }
        self.folder = folder
        self.program = program
        self.probe = probe
        self.counts = TrafficCounts(folder: folder, format: format)
    }

    func serially<T: Sendable>(_ body: @escaping @Sendable (RouterDaemon) async throws -> T) async throws -> T {
        try await gate.pass { try await body(self) }
    }

    /// Whether an old worker has not been told to leave yet.
    func stillTaking(before generation: RouterGeneration) async throws -> Bool {
        guard let master = program.master(), let old = try await load().replaced[generation.number] else { return false }
        return program.workers(of: master).contains { !$0.leaving && old.contains($0.pid) }
    }

    /// Asks over a new connection.
    func answeringGeneration() async throws -> Int {
        let local = ["0.0.0.0": "127.0.0.1", "::": "::1"]
        let answer = try await probe.get(
            ProbeQuestion(
                address: local[program.listenAddress] ?? program.listenAddress, port: program.listenPort, path: "/",
                host: GenerationPage.host, timeout: .seconds(2)))
        let text = String(decoding: answer.body.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard answer.status == 200, let number = Int(text) else {
            throw DeployerError(
                .portTaken, "another program answers on the router's port \(program.listenPort)",
                hint: "set another router port")
        }
        return number
    }
}
