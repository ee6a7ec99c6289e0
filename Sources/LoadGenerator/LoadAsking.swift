import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// Sends one request of each kind, and says what came of it.
struct LoadAsking: Sendable {
    struct Result {
        var end: LoadOutcome.End
        var version: String?
        var reconnected = false
    }

    private static let body = ByteBuffer(repeating: UInt8(ascii: "x"), count: 1_000_000)
    /// How long event streams and WebSockets last.
    static let sessionSeconds = 5

    let target: LoadTarget
    let path: String
    let client: HTTPClient

    func ask(_ kind: LoadMix.Kind) async -> Result {
        switch kind {
        case .keepAlive: await plain(closes: false)
        case .close: await plain(closes: true)
        case .upload: await once(.POST, "/upload", timeout: 30, body: Self.body) { $0 == "\(Self.body.readableBytes)\n" }
        case .slow: await once(.GET, "/slow", timeout: 40) { _ in true }
        case .events: await once(.GET, "/events?seconds=\(Self.sessionSeconds)", timeout: 40) { $0.hasSuffix("event: end\ndata: \n\n") }
        case .webSocket: await webSocket()
        }
    }

    /// A kept connection that is closed before an answer begins may be opened again once (RFC 9112, 9.3.1).
    private func plain(closes: Bool) async -> Result {
        var reconnected = false
        while true {
            let response: HTTPClientResponse
            do {
                response = try await client.execute(request(.GET, path, closes: closes), deadline: .now() + .seconds(30))
            } catch {
                if !closes, !reconnected, Self.isClosed(error) {
                    reconnected = true
                    continue
                }
                return Result(end: .failed(Self.words(error)), reconnected: reconnected)
            }
            var result = await read(response) { _ in true }
            result.reconnected = reconnected
            return result
        }
    }

    private func once(
        _ method: HTTPMethod, _ path: String, timeout: Int64, body: ByteBuffer? = nil, _ isWhole: (String) -> Bool
    ) async -> Result {
        var request = request(method, path, closes: true)
        if let body { request.body = .bytes(body) }
        do {
            return await read(try await client.execute(request, deadline: .now() + .seconds(timeout)), isWhole)
        } catch {
            return Result(end: .failed(Self.words(error)))
        }
    }

    private func read(_ response: HTTPClientResponse, _ isWhole: (String) -> Bool) async -> Result {
        let version = response.headers.first(name: target.versionField)
        do {
            let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
            var end = LoadOutcome.end(status: Int(response.status.code))
            if end == .answered, !isWhole(text) { end = .failed("the answer ends too early") }
            return Result(end: end, version: version)
        } catch {
            return Result(end: .failed("in the middle of the answer: \(Self.words(error))"), version: version)
        }
    }

    private func request(_ method: HTTPMethod, _ path: String, closes: Bool) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: target.url(path))
        request.method = method
        request.headers.replaceOrAdd(name: "Host", value: target.host)
        if closes { request.headers.replaceOrAdd(name: "Connection", value: "close") }
        return request
    }

    private static func isClosed(_ error: any Error) -> Bool {
        if let error = error as? HTTPClientError { return error == .remoteConnectionClosed }
        if let error = error as? IOError { return [ECONNRESET, EPIPE].contains(error.errnoCode) }
        return error as? ChannelError == .ioOnClosedChannel
    }

    /// Without addresses and ports, which differ from request to request.
    private static func words(_ error: any Error) -> String {
        if let error = error as? HTTPClientError { return "\(error)" }
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        if let error = error as? ChannelError { return "\(error)" }
        if error is NIOConnectionError { return "cannot connect" }
        return "\(type(of: error))"
    }

    // MARK: WebSocket

    private func webSocket() async -> Result {
        do {
            return try await withTimeout(seconds: Double(Self.sessionSeconds) + 25) { try await converse() }
        } catch is CancellationError {
            return Result(end: .failed("no answer in time"))
        } catch {
            return Result(end: .failed(Self.words(error)))
        }
    }

    private func converse() async throws -> Result {
        let channel = try await ClientBootstrap(group: client.eventLoopGroup).connectTimeout(.seconds(10))
            .connect(host: target.address, port: target.port) { channel in
                channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel) }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var input = inbound.makeAsyncIterator()
            var bytes: [UInt8] = []
            do {
                try await outbound.write(ByteBuffer(string: WebSocketWire.handshake(path: "/ws", host: target.host)))
                while WebSocketWire.head(bytes) == nil, bytes.count < 16 << 10, let more = try await input.next() { bytes += more.readableBytesView }
            } catch let error where !(error is CancellationError) {
                return Result(end: .failed("no handshake"))
            }
            guard let head = WebSocketWire.head(bytes) else { return Result(end: .failed("no handshake")) }
            let version = head.fields[target.versionField.lowercased()]
            guard head.status == 101 else { return Result(end: .failed("status \(head.status)"), version: version) }
            guard head.fields["sec-websocket-accept"] == WebSocketWire.accept else {
                return Result(end: .failed("a wrong handshake"), version: version)
            }
            bytes = head.rest
            for number in 0..<(Self.sessionSeconds * 2) {
                let text = Array("echo \(number)".utf8)
                // A connection that is gone is cut, whichever side of it notices first.
                do {
                    try await outbound.write(ByteBuffer(bytes: WebSocketWire.frame(opcode: 1, text)))
                    while WebSocketWire.first(bytes) == nil {
                        guard let more = try await input.next() else { return Result(end: .cut, version: version) }
                        bytes += more.readableBytesView
                    }
                } catch let error where !(error is CancellationError) {
                    return Result(end: .cut, version: version)
                }
                guard let frame = WebSocketWire.first(bytes) else { return Result(end: .cut, version: version) }
                if frame.opcode == 8 { return Result(end: .cut, version: version) }
                guard frame.payload == text else { return Result(end: .failed("a wrong echo"), version: version) }
                bytes = frame.rest
                try await Task.sleep(for: .milliseconds(500))
            }
            do { try await outbound.write(ByteBuffer(bytes: WebSocketWire.frame(opcode: 8, [0x03, 0xe8]))) } catch let error
                where !(error is CancellationError)
            { return Result(end: .cut, version: version) }
            return Result(end: .answered, version: version)
        }
    }

    /// - Throws: `CancellationError` when the time is over.
    private func withTimeout(seconds: Double, _ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: .seconds(seconds))
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }
}
