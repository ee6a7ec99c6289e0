import CNIOLinux
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// Seconds since 1970 at the pace of the time that really passes.
///
/// It begins as the wall clock (CLOCK_REALTIME) and goes on by the time since boot (CLOCK_BOOTTIME, which also counts sleep). When
/// somebody sets the wall clock it follows slowly, by at most a tenth of the time that passes. So it never goes back or jumps: what
/// is counted with it, leases, pauses, retention, is off by a tenth at worst.
final class ServerClock: Service {
    private struct State {
        /// What is added to the time since boot.
        var offset: Double
        /// The wall clock's offset, and the time since boot, at the last look.
        var wallOffset: Double
        var looked: Double
        var isFollowing = false
    }

    /// The wall clock may differ from the look before by this many seconds without it being called a jump.
    static let jump = 5.0
    private static let pace = 0.1

    private let wall: @Sendable () -> Double
    private let sinceBoot: @Sendable () -> Double
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameters:
    ///   - wall: seconds since 1970; may jump.
    ///   - sinceBoot: seconds since any moment; must not.
    init(
        wall: @escaping @Sendable () -> Double = { ServerClock.read(CLOCK_REALTIME) },
        sinceBoot: @escaping @Sendable () -> Double = { ServerClock.read(CLOCK_BOOTTIME) }, logger: Logger
    ) {
        self.wall = wall
        self.sinceBoot = sinceBoot
        self.logger = logger
        let now = sinceBoot()
        let offset = wall() - now
        state = Mutex(State(offset: offset, wallOffset: offset, looked: now))
    }

    var now: Double {
        let passed = sinceBoot()
        return state.withLock { passed + $0.offset }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: .seconds(1))) != nil { self.look() }
        }
    }

    /// Compares the clocks; follows the wall clock by a small step. Says once when it has jumped.
    func look() {
        let passed = sinceBoot()
        let wallOffset = wall() - passed
        let (jump, gap, arrived) = state.withLock { state in
            let jump = wallOffset - state.wallOffset
            let most = max(0, passed - state.looked) * Self.pace
            let gap = wallOffset - state.offset
            state.offset += min(max(gap, -most), most)
            state.wallOffset = wallOffset
            state.looked = passed
            if abs(jump) > Self.jump { state.isFollowing = true }
            let arrived = state.isFollowing && abs(wallOffset - state.offset) < 1
            if arrived { state.isFollowing = false }
            return (jump, gap, arrived)
        }
        if abs(jump) > Self.jump {
            let hours = abs(gap) / Self.pace / 3600
            let until = hours > 48 ? "a restart of the server" : "about \(Int(hours.rounded(.up))) h, or a restart of the server"
            logger.warning(
                """
                the wall clock was set \(jump > 0 ? "forward" : "back") by \(Int(abs(jump).rounded())) s. Leases, timeouts and retention \
                go on by the time that passes; times that are recorded are \(Int(abs(gap).rounded())) s off until \(until). Nothing has to be done, \
                but see that only one service sets the clock (timedatectl)
                """)
        } else if arrived {
            logger.notice("the server's clock is the wall clock again")
        }
    }

    private static func read(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
