import Dispatch
import Synchronization

/// The only door by which blocking calls (C libraries, `waitpid`, big file copies) leave the cooperative pool.
///
/// A queue owns at most `width` threads at a time; further work waits in order of arrival. A stalled
/// call therefore delays its own queue, never the rest of the server.
public final class BlockingQueue: Sendable {
    private struct State {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
        var head = 0
    }

    private let threads: DispatchQueue
    private let width: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - label: shown in debuggers and profilers.
    ///   - width: how many bodies may run at once, at least one.
    public init(label: String, width: Int) {
        self.threads = DispatchQueue(label: label, attributes: .concurrent)
        self.width = max(1, width)
    }

    /// Runs `body` on a thread of the queue and returns its result.
    ///
    /// When the awaiting task is cancelled, `Cancellation.isCancelled` turns true; a body that blocks for long must
    /// look at it (in a progress callback, between chunks) and throw. A body that has not begun yet throws `CancellationError`.
    public func run<T: Sendable>(
        _ body: @escaping @Sendable (Cancellation) throws -> T
    ) async throws -> T {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
                submit {
                    continuation.resume(
                        with: Result {
                            if cancellation.isCancelled { throw CancellationError() }
                            return try body(cancellation)
                        })
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }

    private func submit(_ work: @escaping @Sendable () -> Void) {
        let startNow = state.withLock { state in
            if state.running < width {
                state.running += 1
                return true
            }
            state.waiting.append(work)
            return false
        }
        if startNow { dispatch(work) }
    }

    private func dispatch(_ work: @escaping @Sendable () -> Void) {
        threads.async {
            work()
            if let next = self.next() { self.dispatch(next) }
        }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard state.head < state.waiting.count else {
                state.waiting.removeAll(keepingCapacity: true)
                state.head = 0
                state.running -= 1
                return nil
            }
            defer { state.head += 1 }
            return state.waiting[state.head]
        }
    }
}

/// Tells a body on a ``BlockingQueue`` that nobody waits for it any more.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)

    /// A cancellation that has not happened yet.
    public init() {}

    /// True once the awaiting task was cancelled.
    public var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// Marks the work as no longer wanted.
    public func cancel() { flag.store(true, ordering: .releasing) }
}
