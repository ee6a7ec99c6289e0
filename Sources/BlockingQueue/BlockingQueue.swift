import Dispatch
import Synchronization

/// The only door by which blocking calls (C libraries, `waitpid`, big file copies) leave the cooperative pool.
///
/// A queue owns at most `width` threads at a time; further work waits in order of arrival. A stalled
/// call therefore delays its own queue, never the rest of the server.
///
/// The threads are those of serial dispatch queues: libdispatch gives each a thread at once. Concurrent queues share their
/// threads, as many as there are processors, with Swift's cooperative pool, and would keep tasks waiting.
public final class BlockingQueue: Sendable {
    private struct State {
        /// Threads with nothing to do.
        var idle: [DispatchQueue]
        var waiting: [@Sendable () -> Void] = []
        var head = 0
    }

    private let state: Mutex<State>

    /// - Parameters:
    ///   - label: shown in debuggers and profilers.
    ///   - width: how many bodies may run at once, at least one.
    public init(label: String, width: Int) {
        state = Mutex(State(idle: (0..<max(1, width)).map { _ in DispatchQueue(label: label) }))
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
        let thread = state.withLock { state in
            let thread = state.idle.popLast()
            if thread == nil { state.waiting.append(work) }
            return thread
        }
        if let thread { run(work, on: thread) }
    }

    private func run(_ work: @escaping @Sendable () -> Void, on thread: DispatchQueue) {
        thread.async {
            work()
            if let next = self.next(thread) { self.run(next, on: thread) }
        }
    }

    private func next(_ thread: DispatchQueue) -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard state.head < state.waiting.count else {
                state.waiting.removeAll(keepingCapacity: true)
                state.head = 0
                state.idle.append(thread)
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
