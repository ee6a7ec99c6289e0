import NIOCore
import Synchronization

/// Hands pieces of a request body from one task to another, one at a time: who gives waits until the piece before was
/// taken, so that at most two pieces are in memory, however slow the registry is.
///
/// One giver, one taker. When either side ends (or is cancelled) the other learns it at its next call.
final class Handoff: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    /// The other side is gone.
    struct Closed: Error {}

    private enum State {
        case empty
        case offered(ByteBuffer, CheckedContinuation<Void, any Error>)
        case wanted(CheckedContinuation<ByteBuffer?, any Error>)
        case finished
        case closed
    }

    private let state = Mutex(State.empty)

    /// Waits until `piece` or the one before was taken. Throws ``Closed`` when nobody takes any more.
    func give(_ piece: ByteBuffer) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let resume = state.withLock { state -> () -> Void in
                    switch state {
                    case .wanted(let taker):
                        state = .empty
                        return {
                            taker.resume(returning: piece)
                            continuation.resume()
                        }
                    case .empty:
                        state = .offered(piece, continuation)
                        return {}
                    case .offered, .finished, .closed:
                        return { continuation.resume(throwing: Closed()) }
                    }
                }
                resume()
            }
        } onCancel: {
            close()
        }
    }

    /// No more pieces.
    func finish() {
        let resume = state.withLock { state -> () -> Void in
            switch state {
            case .wanted(let taker):
                state = .finished
                return { taker.resume(returning: nil) }
            case .empty:
                state = .finished
                return {}
            case .offered, .finished, .closed: return {}
            }
        }
        resume()
    }

    /// Ends the handing over from either side.
    func close() {
        let resume = state.withLock { state -> () -> Void in
            defer { state = .closed }
            switch state {
            case .wanted(let taker): return { taker.resume(throwing: Closed()) }
            case .offered(_, let giver): return { giver.resume(throwing: Closed()) }
            case .empty, .finished, .closed: return {}
            }
        }
        resume()
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        let handoff: Handoff
        mutating func next() async throws -> ByteBuffer? { try await handoff.take() }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(handoff: self) }

    private func take() async throws -> ByteBuffer? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let resume = state.withLock { state -> () -> Void in
                    switch state {
                    case .offered(let piece, let giver):
                        state = .empty
                        return {
                            giver.resume()
                            continuation.resume(returning: piece)
                        }
                    case .empty:
                        state = .wanted(continuation)
                        return {}
                    case .finished: return { continuation.resume(returning: nil) }
                    case .wanted, .closed: return { continuation.resume(throwing: Closed()) }
                    }
                }
                resume()
            }
        } onCancel: {
            close()
        }
    }
}
