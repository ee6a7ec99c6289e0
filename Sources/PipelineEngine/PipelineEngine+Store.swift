import Logging
import StateStore
import Synchronization

/// Whether the store answers; its trouble is said once when it begins and once when it is over.
final class StoreTrouble: Sendable {
    private let isThere = Mutex(false)
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    func began(_ error: StateError) {
        guard
            isThere.withLock({ there in
                defer { there = true }; return !there
            })
        else { return }
        let what = error.code == .damaged ? "nothing is written to the store any more" : "the store does not answer, it is asked again"
        logger.error("\(what); what runs goes on, nothing new begins: \(error)")
    }

    func isOver() {
        guard
            isThere.withLock({ there in
                defer { there = false }; return there
            })
        else { return }
        logger.notice("the store answers again")
    }
}

extension PipelineEngine {
    /// Repeats what the store cannot answer for a while. A run or deployment must not fail for the store's trouble: either the
    /// store comes back within the lease, or the lease is lost, which cancels this, and it is taken up again later.
    func untilAnswered<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        var pause = Duration.milliseconds(100)
        while true {
            do {
                let value = try await body()
                trouble.isOver()
                return value
            } catch let error as StateError where error.isOutage {
                trouble.began(error)
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(1))
            }
        }
    }

    /// Waits for the store at the start, asks whether this server may use it, and takes back what a predecessor of the same name was killed with.
    /// False when the server is stopped meanwhile.
    func takeUp() async throws -> Bool {
        var pause = Duration.milliseconds(250)
        while !Task.isCancelled {
            do {
                try await settings.admission()
                // A predecessor of the same name that was killed cannot give back what it had.
                try await parts.store.releaseLeases(holder: settings.holder, orderly: false)
                trouble.isOver()
                return true
            } catch is CancellationError {
                return false
            } catch let error as StateError where error.isOutage {
                trouble.began(error)
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
            }
        }
        return false
    }

    /// Gives everything back, so that the next start need not wait until the leases are over.
    func giveBack() async throws {
        do {
            try await parts.store.releaseLeases(holder: settings.holder, orderly: true)
        } catch let error as StateError where error.isOutage {
            logger.warning("what was claimed could not be given back; it is claimed again after \(settings.leaseSeconds) s: \(error)")
        }
    }

    /// Other servers' changes wake the workers.
    func listen() async {
        for await _ in parts.store.changes() { bell.ring() }
    }
}
