import NIOCore
import Synchronization

/// The connections of a server, and whether they are being brought to an end.
final class Connections: Sendable {
    /// Tells a connection to end as soon as its client has got all it asked for.
    struct Ending: Sendable {}

    private struct State {
        var isEnding = false
        var open: [ObjectIdentifier: any Channel] = [:]
    }

    private let state = Mutex(State())

    /// Returns whether all are to end.
    func add(_ channel: any Channel) -> Bool {
        state.withLock { state in
            state.open[ObjectIdentifier(channel)] = channel
            return state.isEnding
        }
    }

    func remove(_ channel: any Channel) { state.withLock { _ = $0.open.removeValue(forKey: ObjectIdentifier(channel)) } }

    var isEmpty: Bool { state.withLock { $0.open.isEmpty } }

    func end() {
        let open = state.withLock { state in
            state.isEnding = true
            return Array(state.open.values)
        }
        for channel in open { channel.pipeline.fireUserInboundEventTriggered(Ending()) }
    }

    /// Whatever they are in the middle of.
    func cut() {
        for channel in state.withLock({ Array($0.open.values) }) { channel.close(promise: nil) }
    }
}
