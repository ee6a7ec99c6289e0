public import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Synchronization

/// The connections to registries: direct ones, through proxies, and to addresses that were checked. One for a process
/// is enough; end it with ``shutdown()``.
public final class RegistryConnections: Sendable {
    /// What a client of its own is needed for.
    private struct Route: Hashable {
        var proxy: ProxySettings.Proxy?
        /// `host address`: connect to this address for that name.
        var pin: String?
    }

    private struct State {
        var clients: [Route: HTTPClient] = [:]
        /// Pinned routes, the latest used last.
        var pins: [Route] = []
        var isShutDown = false
    }

    private static let maximumPins = 64

    private let proxies: ProxySettings
    private let lent: HTTPClient?
    private let configuration: HTTPClient.Configuration
    private let state = Mutex(State())
    private let publicOnly = AddressGuard(registryHost: "", allowsPrivate: false)

    /// - Parameters:
    ///   - connectTimeout: until a connection stands.
    ///   - idleTimeout: until the next byte of an answer comes, or the next ones of a body are taken.
    public init(proxies: ProxySettings = .none, connectTimeout: Duration = .seconds(5), idleTimeout: Duration = .seconds(120)) {
        self.proxies = proxies
        lent = nil
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(
            connect: TimeAmount(connectTimeout), read: TimeAmount(idleTimeout), write: TimeAmount(idleTimeout))
        // A refused connection is said at once; how patiently to ask again is decided by who asks.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        self.configuration = configuration
    }

    /// Sends everything through a client of someone else, who shuts it down. It should not follow redirects by itself:
    /// where they lead could not be checked.
    public init(lent client: HTTPClient) {
        proxies = .none
        lent = client
        configuration = HTTPClient.Configuration()
    }

    /// Sends one request for something that is no registry's, such as a file a build names. Redirects are answers.
    ///
    /// - Parameter allowsPrivate: whether it may lead to this machine and into private networks.
    /// - Throws: ``RegistryError`` with code `addressRefused` when it may not, and does.
    public func execute(
        _ request: HTTPClientRequest, allowsPrivate: Bool, timeout: Duration, task: String
    ) async throws -> HTTPClientResponse {
        guard let url = URL(string: request.url), let host = url.host() else {
            throw RegistryError(.invalidResponse, "\(task): '\(request.url.prefix(200))' is no address", hint: "write https://HOST/PATH")
        }
        let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        let address = allowsPrivate ? nil : try await publicOnly.check(name, isProxied: isProxied(url), task: task)
        return try await client(for: url, at: address).execute(request, timeout: TimeAmount(timeout))
    }

    /// Whether requests to this address go through a proxy.
    func isProxied(_ url: URL) -> Bool { proxy(for: url) != nil }

    /// The client for an address.
    ///
    /// - Parameter address: connect there instead of asking what the host's name means.
    func client(for url: URL, at address: String?) async throws -> HTTPClient {
        if let lent { return lent }
        var route = Route(proxy: proxy(for: url))
        if let address, route.proxy == nil, let host = url.host(), host != address, "[\(address)]" != host {
            route.pin = "\(host) \(address)"
        }
        let (client, outdated) = state.withLock { state -> (HTTPClient?, HTTPClient?) in
            guard !state.isShutDown else { return (nil, nil) }
            var outdated: HTTPClient?
            if route.pin != nil {
                state.pins.removeAll { $0 == route }
                state.pins.append(route)
                if state.pins.count > Self.maximumPins { outdated = state.clients.removeValue(forKey: state.pins.removeFirst()) }
            }
            if let known = state.clients[route] { return (known, outdated) }
            let made = make(route)
            state.clients[route] = made
            return (made, outdated)
        }
        try await outdated?.shutdown()
        guard let client else { throw CancellationError() }
        return client
    }

    private func make(_ route: Route) -> HTTPClient {
        var configuration = configuration
        if let proxy = route.proxy {
            switch proxy.kind {
            case .socks: configuration.proxy = .socksServer(host: proxy.host, port: proxy.port)
            case .http:
                let login = proxy.login.map { HTTPClient.Authorization.basic(credentials: Data($0.utf8).base64EncodedString()) }
                configuration.proxy = .server(host: proxy.host, port: proxy.port, authorization: login)
            }
        }
        if let pin = route.pin?.split(separator: " "), pin.count == 2 {
            configuration.dnsOverride = [String(pin[0]): String(pin[1])]
        }
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    private func proxy(for url: URL) -> ProxySettings.Proxy? {
        guard let scheme = url.scheme?.lowercased(), let host = url.host() else { return nil }
        let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        return proxies.proxy(scheme: scheme, host: name, port: url.port ?? (scheme == "https" ? 443 : 80))
    }

    /// Ends all connections; requests on their way fail. Safe to call twice.
    public func shutdown() async throws {
        let clients = state.withLock { state in
            defer { (state.clients, state.isShutDown) = ([:], true) }
            return Array(state.clients.values)
        }
        for client in clients { try await client.shutdown() }
    }
}
