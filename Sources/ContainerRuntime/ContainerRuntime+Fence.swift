import BlockingQueue
import SystemPackage

extension ContainerRuntime {
    var epochs: Epochs { Epochs(folder: state.appending("epochs")) }

    func patience(_ cancellation: Cancellation) -> Patience { Patience(limit: settings.lockPatience, cancellation: cancellation) }

    /// Admits a new holder: whatever those before it ask for from now on is refused. What they are in the middle of is waited
    /// for, so that the new one finds it. For a holder that has just claimed, before it looks at anything.
    ///
    /// - Throws: `.fenced` when a later one was admitted, `.busy` when an earlier one does not finish (a process that was
    ///   stopped in the middle of it): its further calls are refused all the same; ask again later.
    public func fence(_ fence: Fence) async throws {
        try await queue.run { cancellation in try epochs.raise(fence, patience(cancellation)) }
    }

    /// Runs `body` while no new holder is admitted; refused (`.fenced`) when one was. For effects that are short: a process
    /// that is stopped in the middle of one keeps the next holder waiting.
    public func acting<T: Sendable>(as fence: Fence?, _ body: @Sendable () async throws -> T) async throws -> T {
        guard let fence else { return try await body() }
        let permit = try await queue.run { cancellation in try epochs.enter(fence, patience(cancellation)) }
        defer { try? permit.close() }
        return try await body()
    }

    func withPermit<T>(_ fence: Fence?, _ patience: Patience, _ body: () throws -> T) throws -> T {
        guard let fence else { return try body() }
        let permit = try epochs.enter(fence, patience)
        defer { try? permit.close() }
        return try body()
    }

    /// The owner is over: nobody may act for it any more, whatever the epoch. Waits as ``fence(_:)`` does.
    public func forget(owner: String) async throws {
        try await queue.run { cancellation in try epochs.forget(owner, patience(cancellation)) }
    }

    /// The owners somebody may act for.
    public func owners() async throws -> [String] {
        try await readers.run { _ in Files.names(in: epochs.folder).sorted() }
    }
}
