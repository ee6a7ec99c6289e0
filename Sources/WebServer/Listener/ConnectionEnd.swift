import NIOCore
import NIOHTTP1

/// Ends a connection, when it is told to, without losing a request (RFC 9112, 9.6).
///
/// What was asked is answered, and the answer says that the connection closes behind it. A connection on which nothing happens
/// is closed after a moment of quiet: the client may just be about to ask, above all on one that it has just made.
final class ConnectionEnd: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let connections: Connections
    private let quiet: TimeAmount
    private var lastActivity = NIODeadline.now()
    /// Requests that have begun and are not answered.
    private var unanswered = 0
    private var isBeingAsked = false
    private var isEnding = false
    private var isLastAnswer = false
    private var check: Scheduled<Void>?

    /// - Parameter quiet: how long nothing must happen on a connection for it to be closed.
    init(_ connections: Connections, quiet: TimeAmount) {
        self.connections = connections
        self.quiet = quiet
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if connections.add(context.channel) { end(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { forget(context) }

    func channelInactive(context: ChannelHandlerContext) {
        forget(context)
        context.fireChannelInactive()
    }

    private func forget(_ context: ChannelHandlerContext) {
        check?.cancel()
        check = nil
        connections.remove(context.channel)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is Connections.Ending else { return context.fireUserInboundEventTriggered(event) }
        end(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastActivity = .now()
        switch unwrapInboundIn(data) {
        case .head:
            unanswered += 1
            isBeingAsked = true
        case .body: break
        case .end: isBeingAsked = false
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        lastActivity = .now()
        switch unwrapOutboundIn(data) {
        case .head(var head) where isEnding && head.status.code >= 200:
            head.headers.replaceOrAdd(name: "Connection", value: "close")
            isLastAnswer = true
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            unanswered = max(0, unanswered - 1)
            // A request of which a part is still to come is read first: closing now could take the answer back (RFC 9112, 9.6).
            let isLast = isLastAnswer && unanswered == 0 && !isBeingAsked
            let written = promise ?? context.eventLoop.makePromise(of: Void.self)
            if isLast {
                let channel = context.channel
                written.futureResult.whenComplete { _ in channel.close(promise: nil) }
            }
            context.write(data, promise: written)
            if isLast { context.flush() } else if isEnding { checkLater(context) }
        default: context.write(data, promise: promise)
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard !isEnding else { return }
        isEnding = true
        closeIfQuiet(context)
    }

    private func closeIfQuiet(_ context: ChannelHandlerContext) {
        guard unanswered == 0 else { return }
        if NIODeadline.now() - lastActivity >= quiet { context.close(promise: nil) } else { checkLater(context) }
    }

    private func checkLater(_ context: ChannelHandlerContext) {
        check?.cancel()
        check = context.eventLoop.assumeIsolated().scheduleTask(deadline: lastActivity + quiet) { self.closeIfQuiet(context) }
    }
}
