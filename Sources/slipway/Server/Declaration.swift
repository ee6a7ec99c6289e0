import Deployer
import StateStore
import Synchronization

/// Lets the supervisor ask the engine what should run, though the engine is made after it. While the store does not answer
/// that is what it was last.
final class Declaration: Sendable {
    typealias Source = @Sendable () async throws -> [RolloutOrder]
    private let source = Mutex<Source?>(nil)
    private let last = Mutex<[RolloutOrder]>([])

    func set(_ source: @escaping Source) { self.source.withLock { $0 = source } }

    func orders() async throws -> [RolloutOrder] {
        do {
            let orders = try await source.withLock { $0 }?() ?? []
            last.withLock { $0 = orders }
            return orders
        } catch let error as StateError where error.isOutage {
            return last.withLock { $0 }
        }
    }
}
