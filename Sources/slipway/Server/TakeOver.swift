import Glibc
import Logging
import SystemPackage

/// What `--replace` does: the socket of the server that is there, which ends, and patience until it has.
struct TakeOver {
    private static let patience = Duration.seconds(60)

    /// The predecessor's.
    let socket: ListeningSocket
    private let connection: FileDescriptor
    private let deadline: ContinuousClock.Instant

    /// Whether somebody is there who may be asked.
    static func isPossible(_ settings: ServerSettings) -> Bool {
        guard let connection = try? HandOverPlace(folder: settings.data, port: settings.port).connect() else { return false }
        try? connection.close()
        return true
    }

    /// Everything that can fail without the predecessor's data has been checked by now: after this it is on its way out.
    ///
    /// - Parameter settings: must be for the same address.
    /// - Returns: nil when there is no predecessor.
    init?(_ settings: ServerSettings, _ logger: Logger) throws {
        let place = HandOverPlace(folder: settings.data, port: settings.port)
        func failure(_ reason: String) -> Failure {
            Failure(
                "the server that is there cannot be replaced: \(reason)",
                hint: "it goes on serving; stop it with SIGTERM instead, and start this one without --replace")
        }
        do {
            guard let connection = try place.connect() else { return nil }
            self.connection = connection
        } catch { throw failure("\(place.path): \(error)") }
        do {
            guard let peer = HandOverPlace.peer(of: connection), peer.isTrusted else { throw failure("it belongs to another user") }
            HandOverPlace.limitWaiting(connection, seconds: 5)
            guard let received = try DescriptorMessage.receive(over: connection), received.byte == HandOverPlace.offer else {
                throw failure("it does not answer as this version expects")
            }
            socket = try ListeningSocket(open: received.descriptor)
            guard socket.listens(on: settings.host, settings.port) else {
                throw failure("it listens on \(socket.address), not on \(settings.host):\(settings.port)")
            }
            var answer: UInt8 = 0
            guard try connection.writeAll([HandOverPlace.take]) == 1, read(connection.rawValue, &answer, 1) == 1 else {
                throw failure("it does not answer")
            }
            logger.notice("process \(peer.process) hands over, waiting for it to end")
        } catch {
            try? connection.close()
            throw error
        }
        deadline = .now + Self.patience
    }

    /// Returns when the predecessor accepts nothing any more: it says so, or is gone, or patience is over.
    @Sendable func myTurn() async {
        var asked = pollfd(fd: connection.rawValue, events: Int16(POLLIN), revents: 0)
        while poll(&asked, 1, 0) == 0, ContinuousClock.now < deadline {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
        }
    }

    /// Repeats what fails because the predecessor is still there; only once when there is none.
    static func waiting<T>(_ predecessor: TakeOver?, _ body: () throws -> T) async throws -> T {
        while true {
            do { return try body() } catch let error as Failure {
                guard let predecessor, ContinuousClock.now < predecessor.deadline else { throw error }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }
}
