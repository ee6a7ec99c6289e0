import Deployer
import Synchronization

/// Lets the supervisor ask the engine what should run, though the engine is made after it.
final class Declaration: Sendable {
    typealias Source = @Sendable () async throws -> [RolloutOrder]
    private let source = Mutex<Source?>(nil)

    func set(_ source: @escaping Source) { self.source.withLock { $0 = source } }

    func orders() async throws -> [RolloutOrder] { try await source.withLock { $0 }?() ?? [] }
}
