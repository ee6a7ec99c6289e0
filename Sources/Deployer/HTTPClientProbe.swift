public import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import SystemPackage

/// Probes with a shared client. Give it a client that does not follow redirects: a redirect is an answer.
public struct HTTPClientProbe: HTTPProbe {
    private let client: HTTPClient

    /// - Parameter client: stays owned by the caller, who shuts it down.
    public init(client: HTTPClient) { self.client = client }

    public func get(_ question: ProbeQuestion) async throws -> ProbeAnswer {
        let address = question.address.contains(":") ? "[\(question.address)]" : question.address
        let path = question.path.hasPrefix("/") ? question.path : "/" + question.path
        var request = HTTPClientRequest(url: "http://\(address):\(question.port)\(path)")
        if let host = question.host { request.headers.replaceOrAdd(name: "Host", value: host) }
        request.headers.replaceOrAdd(name: "User-Agent", value: "slipway-probe")
        for (name, value) in question.headers { request.headers.replaceOrAdd(name: name, value: value) }
        // Such a connection never enters the pool, so every question opens a new one.
        request.headers.replaceOrAdd(name: "Connection", value: "close")
        let asked = request
        let answer: ProbeAnswer?
        do {
            // The client's own deadline ends with the head of the answer.
            answer = try await within(question.timeout) { [client] in
                let response = try await client.execute(asked, deadline: .now() + .init(question.timeout))
                var body: [UInt8] = []
                for try await chunk in response.body {
                    body.append(contentsOf: chunk.readableBytesView.prefix(question.bodyLimit - body.count))
                    if body.count >= question.bodyLimit { break }
                }
                return ProbeAnswer(status: Int(response.status.code), body: body)
            }
        } catch {
            throw Self.failure(error, within: question.timeout)
        }
        guard let answer else { throw ProbeFailure("no answer within \(Quantities.seconds(question.timeout / .seconds(1)))") }
        return answer
    }

    public func connect(_ address: String, port: Int, timeout: Duration) async throws {
        do {
            let channel = try await ClientBootstrap(group: client.eventLoopGroup).connectTimeout(.init(timeout))
                .connect(host: address, port: port).get()
            // Whether the other side is quicker to close says nothing.
            try? await channel.close()
        } catch {
            throw Self.failure(error, within: timeout)
        }
    }

    static func failure(_ error: any Error, within timeout: Duration) -> any Error {
        switch error {
        case is CancellationError: return error
        case let error as HTTPClientError where error == .cancelled: return CancellationError()
        case let error as HTTPClientError where [.deadlineExceeded, .connectTimeout, .readTimeout].contains(error):
            return ProbeFailure("no answer within \(Quantities.seconds(timeout / .seconds(1)))")
        case let error as NIOConnectionError:
            return error.connectionErrors.first.map { failure($0.error, within: timeout) } ?? ProbeFailure("\(error)")
        case ChannelError.connectTimeout: return ProbeFailure("no connection within \(Quantities.seconds(timeout / .seconds(1)))")
        case let error as IOError: return ProbeFailure("\(Errno(rawValue: error.errnoCode))".lowercased())
        default: return ProbeFailure("\(error)")
        }
    }
}
