import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import WebServer

/// The server as the client commands see it.
struct Client {
    private let base: String
    private let token: String?

    init() {
        let environment = ProcessInfo.processInfo.environment
        let url = environment["SLIPWAY_URL"] ?? "http://127.0.0.1:8080"
        base = url.hasSuffix("/") ? String(url.dropLast()) : url
        token = environment["SLIPWAY_TOKEN"]
    }

    func get<T: Decodable>(_ path: String, as type: T.Type = T.self) async throws -> T {
        try decode(await send(.GET, path, body: nil))
    }

    func post<T: Decodable>(
        _ path: String, _ body: (any Encodable)? = nil, headers: [String: String] = [:], as type: T.Type = T.self
    ) async throws -> T {
        try decode(await send(.POST, path, body: body, headers: headers))
    }

    @discardableResult
    func send(
        _ method: HTTPMethod, _ path: String, body: (any Encodable)?, headers: [String: String] = [:]
    ) async throws -> Data {
        var request = HTTPClientRequest(url: "\(base)/api/v1\(path)")
        request.method = method
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body)))
        }
        let response: HTTPClientResponse
        let data: Data
        do {
            response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
            data = Data(try await response.body.collect(upTo: 64 << 20).readableBytesView)
        } catch {
            throw Failure(
                "no server answers at \(base): \(error)", hint: "start one with 'slipway serve', or set SLIPWAY_URL",
                status: Failure.unreachable)
        }
        guard (200..<300).contains(response.status.code) else { throw failure(response.status, data) }
        return data
    }

    private func failure(_ status: HTTPResponseStatus, _ data: Data) -> Failure {
        let problem = try? JSONDecoder().decode(ProblemValue.self, from: data)
        let code =
            switch status.code {
            case 401, 403, 409: Failure.refused
            case 502...504: Failure.unreachable
            default: Failure.failed
            }
        return Failure(problem?.error ?? "the server answered \(status)", hint: problem?.hint ?? "", status: code)
    }

    private func decode<T: Decodable>(_ data: Data) throws -> T {
        do {
            return try JSONDecoder().decode(T.self, from: data)
        } catch {
            throw Failure("\(base) did not answer as a Slipway server does: \(error)", hint: "check SLIPWAY_URL")
        }
    }
}

/// One path segment, percent-encoded (RFC 3986, 3.3).
func segment(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "-._~"))) ?? ""
}
