import BlockingQueue
import Synchronization

/// Keeps a registry from sending us to places that only we can reach: redirects, upload addresses, token services and
/// layer addresses come from outside. They may reach as far inside as the registry itself is, and no further.
final class AddressGuard: Sendable {
    private let registryHost: String
    private let allowsPrivate: Bool?
    private let queue = BlockingQueue(label: "address-guard", width: 2)
    private let own = Mutex<IPAddress.Reach?>(nil)
    private let resolve: @Sendable (String) -> [IPAddress]

    /// - Parameters:
    ///   - registryHost: without port and brackets.
    ///   - allowsPrivate: nil means: when the registry itself lies there.
    init(
        registryHost: String, allowsPrivate: Bool?, resolve: @escaping @Sendable (String) -> [IPAddress] = { IPAddress.resolve($0) }
    ) {
        (self.registryHost, self.allowsPrivate, self.resolve) = (registryHost, allowsPrivate, resolve)
    }

    /// Checks a host that the registry named.
    ///
    /// - Parameters:
    ///   - host: without brackets.
    ///   - isProxied: a proxy resolves the name and connects; only what can be seen from the name is checked.
    /// - Returns: the address to connect to, so that nobody can change what the name means after the check. Nil: any.
    /// - Throws: ``RegistryError`` with code `addressRefused`.
    func check(_ host: String, isProxied: Bool, task: String) async throws -> String? {
        if allowsPrivate == true || host.lowercased() == registryHost.lowercased() { return nil }
        if isProxied {
            let name = host.lowercased()
            let known = IPAddress(name) ?? (name == "localhost" || name.hasSuffix(".localhost") ? IPAddress([127, 0, 0, 1]) : nil)
            if let known { try await require([known], host, task) }
            return nil
        }
        let found = try await addresses(host)
        guard let first = found.first else {
            throw Interruption(
                error: RegistryError(.unreachable, "\(task): '\(host.prefix(200))' has no address", hint: "check the name service"))
        }
        try await require(found, host, task)
        return first.text
    }

    private func require(_ addresses: [IPAddress], _ host: String, _ task: String) async throws {
        let narrowest = addresses.map(\.reach).min() ?? .unusable
        guard narrowest != .publicNetwork else { return }
        let floor = allowsPrivate == false ? .publicNetwork : try await ownReach()
        guard narrowest == .unusable || narrowest < floor else { return }
        throw RegistryError(
            .addressRefused, "\(task): \(registryHost) points to '\(host.prefix(200))', an address inside our own network",
            hint: "if that is right, set allow_private_addresses for \(registryHost)")
    }

    /// The narrowest reach of the registry itself: a public one may not point inside, one inside may.
    private func ownReach() async throws -> IPAddress.Reach {
        if let known = own.withLock({ $0 }) { return known }
        let found = try await addresses(registryHost).map(\.reach).min() ?? .publicNetwork
        own.withLock { $0 = found }
        return found
    }

    private func addresses(_ host: String) async throws -> [IPAddress] {
        try await queue.run { [resolve] _ in resolve(host) }
    }
}
