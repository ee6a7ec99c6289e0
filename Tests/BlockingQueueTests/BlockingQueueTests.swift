import BlockingQueue
import Glibc
import Synchronization
import Testing

/// A number that several threads change.
private final class Gauge: Sendable {
    private let state = Mutex((now: 0, most: 0))
    var now: Int { state.withLock { $0.now } }
    var most: Int { state.withLock { $0.most } }

    func change(by step: Int) {
        state.withLock {
            $0.now += step
            $0.most = max($0.most, $0.now)
        }
    }
}

@Suite struct BlockingQueueTests {
    /// libdispatch names the threads of each of its pools alike.
    private static func poolName() throws -> String {
        let descriptor = open("/proc/thread-self/comm", O_RDONLY)
        defer { close(descriptor) }
        var name = [UInt8](repeating: 0, count: 64)
        let count = read(descriptor, &name, name.count)
        return String(decoding: name.prefix(max(0, count)), as: UTF8.self)
    }

    /// Who blocks a thread of the cooperative pool keeps tasks waiting.
    @Test func aBodyRunsOnNoThreadOfTheCooperativePool() async throws {
        let queue = BlockingQueue(label: "test", width: 1)
        let cooperative = try await Task.detached { try Self.poolName() }.value
        let body = try await queue.run { _ in try Self.poolName() }
        #expect(!body.isEmpty && body != cooperative)
    }

    @Test func noMoreBodiesRunAtOnceThanTheQueueIsWide() async throws {
        let queue = BlockingQueue(label: "test", width: 3)
        let running = Gauge()
        let done = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<200 {
                group.addTask {
                    try await queue.run { _ in
                        running.change(by: 1)
                        usleep(500)
                        running.change(by: -1)
                        return number
                    }
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(done.count == 200)
        #expect(running.most == 3)
    }

    @Test func whatNobodyWaitsForDoesNotBegin() async throws {
        let queue = BlockingQueue(label: "test", width: 1)
        let gate = Gauge()
        let began = Gauge()
        async let first: Void = queue.run { _ in while gate.now == 0 { usleep(500) } }
        let second = Task { try await queue.run { _ in began.change(by: 1) } }
        second.cancel()
        gate.change(by: 1)
        try await first
        await #expect(throws: CancellationError.self) { try await second.value }
        #expect(began.now == 0)
    }
}
