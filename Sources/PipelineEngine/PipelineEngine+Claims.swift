import Logging
import StateStore
import Synchronization

extension PipelineEngine {
    /// Claims what is due and carries each to its end beside the others, until the task is cancelled.
    ///
    /// - Parameters:
    ///   - what: for the log.
    ///   - limit: how many are carried at a time.
    ///   - claim: nil when nothing is due.
    ///   - carry: is told when the claim was asked for, from when its lease counts at the latest.
    func carryClaims<Claimed: Sendable>(
        of what: String, atMost limit: Int, claim: () async throws -> Claimed?,
        carry: @escaping @Sendable (Claimed, ContinuousClock.Instant) async -> Void
    ) async {
        await withDiscardingTaskGroup { group in
            let active = Tally()
            while !Task.isCancelled {
                let heard = bell.count
                do {
                    let asked = ContinuousClock.now
                    if active.value < limit, let claimed = try await claim() {
                        active.add(1)
                        group.addTask {
                            await carry(claimed, asked)
                            active.add(-1)
                        }
                        continue
                    }
                    trouble.isOver()
                } catch is CancellationError {
                    return
                } catch let error as StateError where error.isOutage {
                    trouble.began(error)
                } catch {
                    logger.error("\(what): \(error)")
                }
                await bell.wait(after: heard, atMost: .seconds(1))
            }
        }
    }
}

/// How many there are.
private final class Tally: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }

    func add(_ difference: Int) { count.withLock { $0 += difference } }
}
