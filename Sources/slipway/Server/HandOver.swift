import BlockingQueue
import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import SystemPackage

/// Who has asked for the listening socket, and waits for its turn to accept.
final class Successor: Sendable {
    /// Not closed: its end says that this process is gone.
    private let connection = Mutex<FileDescriptor?>(nil)

    func comes(over connection: FileDescriptor) { self.connection.withLock { $0 = connection } }

    /// This server accepts nothing any more.
    func mayAccept() {
        // One that is gone needs no answer.
        connection.withLock { _ = try? $0?.writeAll([HandOverPlace.quiet]) }
    }
}

/// Gives the listening socket to a successor that asks for it. Ends then, and the server with it.
struct HandOver: Service {
    private let place: HandOverPlace
    private let socket: ListeningSocket
    private let successor: Successor
    private let logger: Logger
    private let listener: FileDescriptor?
    private let queue = BlockingQueue(label: "handover", width: 1)

    /// Can be asked from now on; answers once it runs.
    init(_ place: HandOverPlace, _ socket: ListeningSocket, to successor: Successor, _ logger: Logger) {
        self.place = place
        self.socket = socket
        self.successor = successor
        self.logger = logger
        do { listener = try place.listen() } catch {
            logger.warning("nobody can take over with --replace: \(place.path) cannot be made: \(error)")
            listener = nil
        }
    }

    func run() async throws {
        guard let listener else {
            try? await gracefulShutdown()
            return
        }
        // Wakes accept(2), which answers EINVAL from then on.
        let stop: @Sendable () -> Void = { shutdown(listener.rawValue, Int32(SHUT_RDWR)) }
        let isTaken = try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await queue.run { _ in waitForSuccessor(listener) }
            } onGracefulShutdown: {
                stop()
            }
        } onCancel: {
            stop()
        }
        try listener.close()
        if isTaken { return }
        unlink(place.path.string)
        try? await gracefulShutdown()
    }

    /// False when the server is stopped instead.
    private func waitForSuccessor(_ listener: FileDescriptor) -> Bool {
        while true {
            let connection = accept(listener.rawValue, nil, nil)
            if connection < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                return false
            }
            if offer(FileDescriptor(rawValue: connection)) { return true }
            close(connection)
        }
    }

    private func offer(_ connection: FileDescriptor) -> Bool {
        guard fcntl(connection.rawValue, F_SETFD, FD_CLOEXEC) == 0, let peer = HandOverPlace.peer(of: connection) else { return false }
        guard peer.isTrusted else {
            logger.warning("process \(peer.process) of another user asked for the listening socket")
            return false
        }
        HandOverPlace.limitWaiting(connection, seconds: 5)
        do { try DescriptorMessage.send(socket.descriptor, with: HandOverPlace.offer, over: connection) } catch { return false }
        var answer: UInt8 = 0
        guard read(connection.rawValue, &answer, 1) == 1, answer == HandOverPlace.take else { return false }
        logger.notice("process \(peer.process) takes over")
        // Before it is told: it makes one of its own.
        unlink(place.path.string)
        _ = try? connection.writeAll([HandOverPlace.take])
        successor.comes(over: connection)
        return true
    }
}
