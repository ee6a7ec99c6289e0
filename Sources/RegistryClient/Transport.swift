import AsyncHTTPClient
import FoundationEssentials
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One request to the registry or to an address it gave us.
struct Outgoing: Sendable {
    var method: HTTPMethod
    var url: String
    var scope: Scope
    /// What is being done, for messages: `pushing host/name:tag`.
    var task: String
    var headers: HTTPHeaders = [:]
    var body: HTTPClientRequest.Body?
    /// Streams can be sent once only.
    var repeatable = true
    var timeout: TimeAmount = .seconds(60)
}

/// Sends requests: authorisation, redirects, and what of the failures may pass. Credentials only ever go to the
/// registry's own origin and to the token service it names.
struct Transport: Sendable {
    let host: String
    let origin: String
    let connections: RegistryConnections
    /// For the registry's own origin only.
    let tls: TLSConfiguration?
    let addresses: AddressGuard
    let authenticator: Authenticator
    let retry: RetryPolicy
    let logger: Logger

    /// Sends until the registry answered with something other than a passing failure.
    func send(_ request: Outgoing) async throws -> HTTPClientResponse {
        try await retry.run { try await sendOnce(request) }
    }

    /// Sends once (twice when the registry asked to log in). Throws ``Interruption`` for what may pass.
    func sendOnce(_ request: Outgoing) async throws -> HTTPClientResponse {
        var challenged = 0
        while true {
            let ours = Self.origin(of: request.url) == origin
            let header = ours ? try await authorization(request) : nil
            let response = try await follow(request, header)
            if response.status == .unauthorized, ours, challenged < 2,
                let challenge = Challenge(response.headers["WWW-Authenticate"]),
                try await authenticator.learn(challenge, scope: request.scope, sent: header)
            {
                challenged += 1
                if request.repeatable {
                    await drain(response)
                    continue
                }
                throw Interruption(error: await failure(response, request.task))
            }
            if Self.mayPass(response.status) {
                let after = RetryAfter.parse(response.headers.first(name: "Retry-After"))
                throw Interruption(error: await failure(response, request.task), retryAfter: after)
            }
            return response
        }
    }

    private static func mayPass(_ status: HTTPResponseStatus) -> Bool {
        switch status.code {
        case 408, 425, 429, 500, 502, 503, 504: true
        default: false
        }
    }

    private func authorization(_ request: Outgoing) async throws -> String? {
        switch authenticator.plan(for: request.scope) {
        case .header(let header): return header
        case .fetchToken(let realm, let service):
            return "Bearer " + (try await fetchToken(realm, service, request))
        }
    }

    /// Follows redirects of what can be sent again, without credentials on other origins.
    private func follow(_ request: Outgoing, _ authorization: String?) async throws -> HTTPClientResponse {
        var url = request.url
        for _ in 0..<6 {
            let keep = Self.origin(of: url) == origin
            let response = try await execute(request, url, keep ? authorization : nil)
            let isRead = request.method == .GET || request.method == .HEAD
            guard (isRead ? [301, 302, 303, 307, 308] : [307, 308]).contains(response.status.code), request.repeatable,
                let location = response.headers.first(name: "Location"), let next = Self.resolve(location, at: url)
            else { return response }
            await drain(response)
            url = next
        }
        throw RegistryError(.invalidResponse, "\(request.task): too many redirects", hint: "ask the registry's operator")
    }

    func execute(_ request: Outgoing, _ url: String, _ authorization: String?) async throws -> HTTPClientResponse {
        var message = HTTPClientRequest(url: url)
        message.method = request.method
        message.headers = request.headers
        message.headers.replaceOrAdd(name: "User-Agent", value: "slipway")
        if let authorization { message.headers.replaceOrAdd(name: "Authorization", value: authorization) }
        message.body = request.body
        guard let target = URL(string: url), let host = target.host() else {
            throw RegistryError(
                .invalidResponse, "\(request.task): '\(url.prefix(200))' is no address", hint: "check the registry's address")
        }
        var address: String?
        if Self.origin(of: url) == origin {
            message.tlsConfiguration = tls
        } else {
            let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
            address = try await addresses.check(name, isProxied: connections.isProxied(target), task: request.task)
        }
        let client = try await connections.client(for: target, at: address)
        do {
            return try await client.execute(message, timeout: request.timeout, logger: logger)
        } catch {
            throw broken(error, request.task)
        }
    }

    /// A connection that failed: worth another try, unless it was cancelled or never could work.
    func broken(_ error: any Error, _ task: String) -> any Error {
        if error is CancellationError || error is RegistryError || error is Interruption { return error }
        if let error = error as? HTTPClientError {
            if error == .cancelled { return CancellationError() }
            if [.invalidURL, .emptyHost, .emptyScheme, .alreadyShutdown].contains(error) {
                return RegistryError(
                    .invalidResponse, "\(task): \(error.shortDescription)", hint: "check the registry's address")
            }
        }
        let unreachable = RegistryError(
            .unreachable, "\(task): no answer from \(host): \(error)",
            hint: "check that the registry runs and can be reached from here")
        // Nobody listens: that takes longer than a hiccup, and is worth saying at once.
        if error is NIOConnectionError || (error as? HTTPClientError) == .connectTimeout { return unreachable }
        return Interruption(error: unreachable)
    }

    /// Reads the little that is left of an answer, so that its connection can be used again.
    func drain(_ response: HTTPClientResponse) async { _ = await Self.head(of: response, limit: 64 << 10) }

    /// The first bytes of a body; a broken body counts as ended. A body can be read once only: calling this (or
    /// `drain`, or `failure`) twice for one response would trap.
    static func head(of response: HTTPClientResponse, limit: Int) async -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            for try await buffer in response.body {
                bytes.append(contentsOf: buffer.readableBytesView.prefix(limit - bytes.count))
                if bytes.count >= limit { break }
            }
        } catch {}
        return bytes
    }

    /// `scheme://host:port` of an address, with the port always written.
    static func origin(of address: String) -> String? {
        guard let url = URL(string: address), let scheme = url.scheme?.lowercased(), let host = url.host()?.lowercased()
        else { return nil }
        return "\(scheme)://\(host):\(url.port ?? (scheme == "https" ? 443 : 80))"
    }

    /// A `Location`, relative or absolute, with its query kept as it is.
    static func resolve(_ location: String, at address: String) -> String? {
        guard let base = URL(string: address), let url = URL(string: location, relativeTo: base)?.absoluteURL,
            url.scheme == "http" || url.scheme == "https"
        else { return nil }
        // Never from an encrypted connection to a plain one.
        if base.scheme == "https", url.scheme == "http" { return nil }
        return url.absoluteString
    }
}
