import Foundation
import OCIModel
import RegistryClient
import Synchronization

/// One line on the terminal that says how far a push, pull or copy is and how fast it goes.
final class TransferProgress: Sendable {
    private struct State {
        var blobs: [Digest: RegistryProgress] = [:]
        /// Bytes that travelled, those of broken attempts too.
        var travelled: Int64 = 0
        var began: ContinuousClock.Instant
        var drawn: ContinuousClock.Instant?
        var isOnScreen = false
    }

    private let isShown: Bool
    private let now: @Sendable () -> ContinuousClock.Instant
    private let write: @Sendable (String) -> Void
    private let state: Mutex<State>

    /// - Parameter isShown: false keeps quiet, as does a standard error that is no terminal.
    init(
        isShown: Bool, isTerminal: Bool = isatty(2) == 1, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        write: @escaping @Sendable (String) -> Void = { FileHandle.standardError.write(Data($0.utf8)) }
    ) {
        self.isShown = isShown && isTerminal
        (self.now, self.write) = (now, write)
        state = Mutex(State(began: now()))
    }

    /// Hand this to the transfer.
    var report: @Sendable (RegistryProgress) -> Void { { self.note($0) } }

    private func note(_ progress: RegistryProgress) {
        let time = now()
        let line = state.withLock { state -> String? in
            let before = state.blobs[progress.digest]?.completed ?? 0
            if progress.step == .transferring { state.travelled += max(0, progress.completed - before) }
            state.blobs[progress.digest] = progress
            guard isShown, state.drawn.map({ time - $0 >= .milliseconds(100) }) ?? true else { return nil }
            (state.drawn, state.isOnScreen) = (time, true)
            return Self.line(state, time)
        }
        if let line { write("\r\u{1B}[K\(line)") }
    }

    private static func line(_ state: State, _ time: ContinuousClock.Instant) -> String {
        let done = state.blobs.values.count { $0.step != .transferring }
        let completed = state.blobs.values.reduce(Int64(0)) { $0 + $1.completed }
        let total = state.blobs.values.reduce(Int64(0)) { $0 + $1.total }
        let rate = rate(state.travelled, since: state.began, time)
        return "  \(done) of \(state.blobs.count) blobs  \(size(completed)) of \(size(total))\(rate.map { "  \($0)" } ?? "")"
    }

    /// Removes the line. Returns what it came to, as in `, 12.3 MiB at 45.6 MiB/s`; nothing when nothing travelled.
    func finish() -> String {
        let (travelled, began, wasOnScreen) = state.withLock { state in
            defer { state.isOnScreen = false }
            return (state.travelled, state.began, state.isOnScreen)
        }
        if wasOnScreen { write("\r\u{1B}[K") }
        guard travelled > 0 else { return "" }
        return ", \(Self.size(travelled))" + (Self.rate(travelled, since: began, now()).map { " at \($0)" } ?? "")
    }

    private static func rate(_ bytes: Int64, since: ContinuousClock.Instant, _ time: ContinuousClock.Instant) -> String? {
        let seconds = (time - since) / .seconds(1)
        guard seconds > 0.05, bytes > 0 else { return nil }
        return "\(size(Int64(Double(bytes) / seconds)))/s"
    }

    /// `17 B`, `4.0 KiB`, `12.3 MiB`
    static func size(_ bytes: Int64) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB"]
        guard bytes >= 1024 else { return "\(bytes) B" }
        var value = Double(bytes) / 1024
        var unit = 0
        while value >= 1023.95, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return String(format: "%.1f %@", value, units[unit])
    }
}
