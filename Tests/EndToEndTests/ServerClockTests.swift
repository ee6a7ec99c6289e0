import Foundation
import Logging
import Synchronization
import Testing

@testable import slipway

@Suite struct ServerClockTests {
    /// Both clocks, moved by the test.
    private final class Clocks: Sendable {
        private let state = Mutex((wall: 1_800_000_000.0, boot: 500.0))
        let lines = Mutex<[String]>([])
        var wall: Double { state.withLock { $0.wall } }
        var boot: Double { state.withLock { $0.boot } }

        func pass(_ seconds: Double) {
            state.withLock {
                $0.wall += seconds
                $0.boot += seconds
            }
        }

        func set(by seconds: Double) { state.withLock { $0.wall += seconds } }

        func clock() -> ServerClock {
            ServerClock(
                wall: { self.wall }, sinceBoot: { self.boot },
                logger: Logger(label: "test", factory: { _ in Lines(clocks: self) }))
        }
    }

    private struct Lines: LogHandler {
        let clocks: Clocks
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { clocks.lines.withLock { $0.append("\(event.message)") } }
    }

    @Test(arguments: [3600.0, -3600])
    func aJumpIsSaidOnceAndNeitherHurriesNorHoldsUp(by jump: Double) {
        let clocks = Clocks()
        let clock = clocks.clock()
        let begun = clock.now
        clocks.set(by: jump)
        #expect(clock.now == begun)
        for _ in 0..<100 {
            let before = clock.now
            clocks.pass(1)
            clock.look()
            // Never back, never more than a tenth off the time that passed.
            #expect(clock.now - before >= 0.899 && clock.now - before <= 1.101)
        }
        let lines = clocks.lines.withLock { $0 }
        #expect(lines.count == 1, "\(lines)")
        #expect(lines.first?.contains("was set \(jump > 0 ? "forward" : "back") by 3600 s") == true, "\(lines)")
    }

    @Test func itComesBackToTheWallClock() {
        let clocks = Clocks()
        let clock = clocks.clock()
        clocks.set(by: 60)
        for _ in 0..<700 {
            clocks.pass(1)
            clock.look()
        }
        #expect(abs(clock.now - clocks.wall) < 0.01)
        #expect(clocks.lines.withLock { $0 }.count == 2)
        // What time services do all day is no jump.
        clocks.set(by: 0.4)
        clocks.pass(10)
        clock.look()
        #expect(abs(clock.now - clocks.wall) < 0.01)
        #expect(clocks.lines.withLock { $0 }.count == 2)
    }
}
