import NIOCore
public import NIOHTTP1
import NIOPosix
import Synchronization

/// A receiver of webhooks on loopback that keeps what it got and answers as the test says.
public final class Recorder: Sendable {
    public struct Request: Sendable {
        public var path: String
        public var headers: HTTPHeaders
        public var body: [UInt8]

        /// The first value of a header.
        public subscript(_ name: String) -> String? { headers.first(name: name) }
        public var text: String { String(decoding: body, as: UTF8.self) }
    }

    public enum Reaction: Sendable {
        case answer(Int, [(String, String)] = [])
        /// Says nothing and keeps the connection.
        case hang
        /// Closes the connection without a word.
        case close
    }

    public typealias Rule = @Sendable (_ request: Request, _ number: Int) -> Reaction

    private struct State {
        var requests: [Request] = []
        var rule: Rule
    }

    private let state: Mutex<State>
    private let channel = Mutex<(any Channel)?>(nil)
    public var port: Int { channel.withLock { $0?.localAddress?.port } ?? 0 }
    public var url: String { "http://127.0.0.1:\(port)" }

    private init(_ rule: @escaping Rule) {
        state = Mutex(State(rule: rule))
    }

    /// Listens until it is stopped.
    ///
    /// - Parameters:
    ///   - port: 0 for any that is free.
    ///   - rule: gets the request and how many came before it.
    public static func start(port: Int = 0, _ rule: @escaping Rule = { _, _ in .answer(204) }) async throws -> Recorder {
        let recorder = Recorder(rule)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(recorder))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        recorder.channel.withLock { $0 = channel }
        return recorder
    }

    /// What came, in order.
    public var requests: [Request] { state.withLock { $0.requests } }

    /// From now on.
    public func react(_ rule: @escaping Rule) { state.withLock { $0.rule = rule } }

    public func stop() async throws {
        try await channel.withLock { $0 }?.close().get()
    }

    fileprivate func take(_ request: Request) -> Reaction {
        let (rule, number) = state.withLock { state in
            state.requests.append(request)
            return (state.rule, state.requests.count - 1)
        }
        return rule(request, number)
    }
}

private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let recorder: Recorder
    private var request: Recorder.Request?

    init(_ recorder: Recorder) { self.recorder = recorder }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = Recorder.Request(path: head.uri, headers: head.headers, body: [])
        case .body(let buffer): request?.body.append(contentsOf: buffer.readableBytesView)
        case .end:
            guard let request else { return }
            switch recorder.take(request) {
            case .hang: break
            case .close: context.close(promise: nil)
            case .answer(let status, let fields):
                var headers = HTTPHeaders(fields)
                headers.replaceOrAdd(name: "Content-Length", value: "0")
                let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
