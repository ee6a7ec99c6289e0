public import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Probes with a shared client. Give it a client that does not follow redirects: a redirect is an answer.
public struct HTTPClientProbe: HTTPProbe {
    private static let bodyLimit = 4096
    private let client: HTTPClient

    /// - Parameter client: stays owned by the caller, who shuts it down.
    public init(client: HTTPClient) { self.client = client }

    public func get(_ question: ProbeQuestion) async throws -> ProbeAnswer {
        let address = question.address.contains(":") ? "[\(question.address)]" : question.address
        let path = question.path.hasPrefix("/") ? question.path : "/" + question.path
        var request = HTTPClientRequest(url: "http://\(address):\(question.port)\(path)")
        if let host = question.host { request.headers.replaceOrAdd(name: "Host", value: host) }
        request.headers.replaceOrAdd(name: "User-Agent", value: "slipway-probe")
        // Such a connection never enters the pool, so every question opens a new one.
        request.headers.replaceOrAdd(name: "Connection", value: "close")
        let response = try await client.execute(
            request, deadline: .now() + .init(question.timeout))
        var body: [UInt8] = []
        for try await chunk in response.body {
            body.append(contentsOf: chunk.readableBytesView.prefix(Self.bodyLimit - body.count))
            if body.count >= Self.bodyLimit { break }
        }
        return ProbeAnswer(status: Int(response.status.code), body: body)
    }
}
