import BlockingQueue
import Logging
import ServiceLifecycle
import StateStore

/// Gives back at once what servers of the same data directory were killed with; otherwise their leases would have to expire.
struct PeerWatch: Service {
    let place: ServerPlace
    let store: any StateStore
    let logger: Logger
    /// Between two looks; zero: one look, at the start.
    let every: Duration
    private let queue = BlockingQueue(label: "servers", width: 1)

    init(place: ServerPlace, store: any StateStore, logger: Logger, every: Duration) {
        self.place = place
        self.store = store
        self.logger = logger
        self.every = every
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let isClear = await look()
                if isClear, every == .zero { break }
                try? await Task.sleep(for: isClear ? max(every, .milliseconds(100)) : .seconds(1))
            }
        }
        try? await gracefulShutdown()
    }

    /// False when something stays to be done.
    private func look() async -> Bool {
        let place = place
        let dead: [DeadServer]
        do { dead = try await queue.run { _ in try place.dead() } } catch {
            logger.warning("the other servers cannot be looked at: \(error)")
            return false
        }
        var isClear = true
        for server in dead {
            do {
                try await store.releaseLeases(holder: server.holder, orderly: false)
                try server.forget()
                logger.notice("\(server.holder) has ended; what it was working on goes on here")
            } catch {
                isClear = false
                try? server.leave()
            }
        }
        return isClear
    }
}
