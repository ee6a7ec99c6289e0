import AsyncHTTPClient
import ContainerRuntime
import DeliveryModel
import DockerDaemon
import Foundation
import Logging
import SystemPackage
import Testing

@testable import Deployer

/// A job on every target, and its log. In the suite of the targets: of their networks there is one at a time.
extension TargetContractTests {
    @Test(arguments: TargetKind.allCases)
    func aJobRunsOnceAndItsOutputIsKept(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("job-\(UUID().uuidString)")
            // On the file system of the containers' logs, as the data directory is.
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let log = FilePath(folder.path).appending("logs").appending("1.log")
            // The entrypoint, busybox, plays no part: the program is looked up by its path.
            let script = "echo $SLIPWAY_JOB $B $C; echo careful >&2; printf '%s' no-newline; exit 7"
            let job = ServiceJob(
                name: "migrate", command: ["/bin/busybox", "sh", "-c", script],
                limits: ResourceLimits(memoryBytes: 32 << 20))
            let order = bench.order()
            let container = JobContainer(
                target: target, job: job, owner: "j1", order: order, claim: Claim(deployment: "j1", epoch: 1))
            try await target.admit(container.claim)
            #expect(try await container.state() == nil)
            try await container.start(order)
            try await container.start(order)
            // It is nobody's instance.
            #expect(try await target.observe(deployment: order.deployment).isEmpty)
            #expect(try await target.deployments() == ["j1"])
            let hasWritten = try await eventually {
                try await container.collect(into: log)
                return try await LogReader(file: log).tail(10).count >= 2
            }
            #expect(hasWritten)
            let hasEnded = try await eventually { try await container.state() == .exited(code: 7, outOfMemory: false) }
            #expect(hasEnded)
            // A look that was cut off in the middle of a line.
            if kind == .docker { try Self.append("2026-01-01T00:00:00.0", to: log) }
            for _ in 0..<2 { try await container.collect(into: log) }
            try await container.remove(grace: .zero)
            try await container.dismiss()
            #expect(try await container.state() == nil)
            // Of two streams no order is promised.
            let lines = try await LogReader(file: log).tail(10).map { "\($0.stream.rawValue) \($0.text)" }
            #expect(lines.sorted() == ["stderr careful", "stdout migrate service stage", "stdout no-newline"], "\(lines)")
            await #expect(throws: DeployerError.self) { try await container.start(order) }
        }
    }

    private static func append(_ text: String, to file: FilePath) throws {
        let handle = try #require(FileHandle(forWritingAtPath: file.string))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    /// What may be on a host that does not answer is not gone: a job that runs there must not count as lost.
    @Test func nothingIsGoneWhileAHostIsAway() async throws {
        let home = URL(fileURLWithPath: "/tmp/sf-\(UUID().uuidString.prefix(8).lowercased())")
        try await DockerDaemon.with(home, network: 12) { daemon in
            let client = DockerTarget.makeClient()
            func target(_ hosts: [String]) throws -> DockerTarget {
                DockerTarget(
                    settings: .init(hosts: try hosts.map { try DockerHost(parsing: "unix://\($0)") }, owner: "test"), client: client,
                    logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                ) { _, _ in throw CancellationError() }
            }
            let name = "shop-test-migrate-00000000-0"
            #expect(try await target([daemon.socket]).find(instance: name) == nil)
            let both = try target([daemon.socket, "/nowhere/docker.sock"])
            #expect(try await both.observe(deployment: "j1").isEmpty)
            await #expect(throws: DeployerError.self) { try await both.find(instance: name) }
            try await client.shutdown()
        }
    }

    @Test func onlyWhatIsNewIsTakenFromAnAnswer() {
        func frame(_ stream: UInt8, _ text: String) -> [UInt8] { [stream, 0, 0, 0, 0, 0, 0, UInt8(text.utf8.count)] + Array(text.utf8) }
        let answer =
            frame(1, "2026-11-22T05:00:00.000000001Z one\n") + frame(2, "2026-11-22T05:00:00.000000002Z two\n")
            + frame(1, "2026-11-22T05:00:00.000000003Z three")
        #expect(DockerLog.entries(answer, after: nil).map { String(decoding: $0.text, as: UTF8.self) } == ["one", "two", "three"])
        let new = DockerLog.entries(answer, after: "2026-11-22T05:00:00.000000001Z")
        #expect(new.map(\.stream) == ["stderr", "stdout"] && new.map(\.isWhole) == [true, false])
        #expect(DockerLog.since("2026-11-22T05:00:00.000000002Z") == "1795323600.000000002")
        #expect(DockerLog.since("yesterday") == nil)
        #expect(DockerLog.entries([1, 0, 0, 0, 0, 0, 0, 9, 1], after: nil).isEmpty)
    }
}
