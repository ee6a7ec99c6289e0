import HTTPTypes
public import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
public import ServiceLifecycle

/// Serves the routes on a socket that somebody else has made and keeps: when this ends, connections that nobody has accepted
/// wait in it for whoever accepts next.
///
/// Its end is graceful and bounded: nothing is accepted any more, what was asked is answered, streams end where they are.
public struct WebListener: Service {
    /// The answer was cut off by what the client sent; another one cannot follow it.
    private struct AnswerCutOff: Error {}

    /// Of several processes that share a socket one accepts at a time: an event loop that is woken expects a connection.
    public struct Turn: Sendable {
        /// Returns when nobody else accepts any more.
        public var begin: @Sendable () async -> Void
        /// Is called when nothing is accepted any more.
        public var end: @Sendable () -> Void

        public init(begin: @escaping @Sendable () async -> Void = {}, end: @escaping @Sendable () -> Void = {}) {
            self.begin = begin
            self.end = end
        }
    }

    private let socket: CInt
    private let turn: Turn
    private let responder: RouterResponder<WebContext>
    private let logger: Logger
    /// What takes longer once the server ends is cut off.
    private let patience: Duration
    private let quiet: Duration

    /// - Parameters:
    ///   - socket: bound and listening; lent, and still open when ``run()`` has returned.
    ///   - turn: when it may accept, and who waits for its end.
    ///   - patience: how long requests may take once the server ends.
    ///   - quiet: how long nothing must happen on a connection for it to be closed then.
    public init(
        socket: CInt, turn: Turn = Turn(), router: Router<WebContext>, patience: Duration = .seconds(5),
        quiet: Duration = .milliseconds(500), logger: Logger
    ) {
        self.socket = socket
        self.turn = turn
        responder = router.buildResponder()
        self.patience = patience
        self.quiet = quiet
        self.logger = logger
    }

    public func run() async throws {
        await turn.begin()
        let (connections, child, quiet) = (Connections(), channel(), TimeAmount(quiet))
        let (accepted, accept) = AsyncStream.makeStream(of: HTTP1Channel.Value.self)
        let logger = logger
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                child.setup(channel: channel, logger: logger).flatMapThrowing { value in
                    let pipeline = channel.pipeline.syncOperations
                    let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
                    try pipeline.addHandler(ConnectionEnd(connections, quiet: quiet), position: .after(decoder))
                    accept.yield(value)
                }
            }
            .withBoundSocket(dup(socket)).get()
        // What takes a socket over sets a backlog of its own.
        guard listen(socket, WebListener.backlog) == 0 else { throw IOError(errnoCode: errno, reason: "listen") }
        await withDiscardingTaskGroup { tasks in
            tasks.addTask {
                try? await gracefulShutdown()
                await end(server, connections, group)
                accept.finish()
            }
            for await connection in accepted {
                tasks.addTask { await child.handle(value: connection, logger: logger) }
            }
            tasks.cancelAll()
        }
        try await server.close()
    }

    /// The longest queue the kernel allows (listen(2)); it cuts what is more.
    public static let backlog: CInt = 65_535

    private func end(_ server: any Channel, _ connections: Connections, _ group: MultiThreadedEventLoopGroup) async {
        try? await server.setOption(.autoRead, value: false).get()
        turn.end()
        // What was accepted just before that is known to its event loop by now, and to us when all of them have passed.
        for loop in group.makeIterator() { try? await loop.submit {}.get() }
        connections.end()
        let deadline = ContinuousClock.now + patience
        while !connections.isEmpty, ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
        connections.cut()
    }

    private func channel() -> HTTP1Channel {
        let (responder, logger, dates) = (responder, logger, HTTPDate())
        return HTTP1Channel { request, writer, channel in
            var logger = logger
            logger[metadataKey: "request"] = .stringConvertible(RequestID())
            let context = WebContext(source: ApplicationRequestContextSource(channel: channel, logger: logger))
            var response: Response
            do {
                response = try await responder.respond(to: request, context: context)
            } catch let error as HTTPParserError {
                throw error
            } catch {
                logger.debug("a request could not be answered: \(error)")
                response = Response(status: .internalServerError)
            }
            response.headers[.date] = dates.now
            response.headers[.server] = "slipway"
            do {
                try await writer.write(response: response.head, body: response.body)
            } catch is HTTPParserError {
                throw AnswerCutOff()
            }
        }
    }
}
