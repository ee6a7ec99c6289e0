import Configuration
import ContainerRuntime
import Deployer
import Foundation
import PipelineEngine
import SystemPackage
import TarArchive

/// The server's own settings: from `slipway.yaml`, from `SLIPWAY_…` in the environment, from the command line; what comes
/// later wins. docs/server.md lists them.
struct ServerSettings {
    var data: FilePath
    var roles: ServerRoles
    var store: StoreLocation
    /// Connections to PostgreSQL.
    var storeConnections: Int
    var host: String
    var port: Int
    var publicURL: String
    var routerHost: String
    var routerPort: Int
    var routerKind: RouterKind
    var routerTLS: RouterTLS?
    /// Where rollouts with a query ask.
    var prometheus: String?
    var nginx: String
    var haproxy: String
    var runtime: String
    var bridge: String
    var subnet: String
    var concurrentRuns: Int
    /// Bytes.
    var diskReserve: Int64
    /// Seconds.
    var keepWorkspace: Double
    /// Seconds; nil: for ever.
    var keepLogs: Double?
    /// Zero: never.
    var reconcileInterval: Duration
    /// Deaths of the server while it worked on something, after which that is set aside.
    var quarantineAfter: Int
    var layers: LayerLimits
    var readersNeedToken: Bool
    var dockerConfig: String?
    var registries: RegistryFile
    var targets: TargetSettings
    /// People, and when nothing begins.
    var governance: Governance
    /// Whether `ADD` of a Containerfile may fetch from this machine and private networks.
    var buildsReachPrivate: Bool
    var registry: EmbeddedRegistrySettings
    var logLevel: String

    static let defaultData = "/var/lib/slipway"

    static func read(
        file: String?, data: String?, listen: String?, routerPort: Int?, role: String? = nil
    ) async throws -> ServerSettings {
        var providers: [any ConfigProvider] = [
            EnvironmentVariablesProvider().prefixKeys(with: "slipway")
        ]
        let configuration = file ?? ProcessInfo.processInfo.environment["SLIPWAY_CONFIG"]
        if let path = configuration {
            do {
                providers.append(try await FileProvider<YAMLSnapshot>(filePath: FilePath(path)))
            } catch {
                throw Failure(
                    "the configuration \(path) cannot be read: \(error)", hint: "docs/server.md describes the file",
                    status: Failure.usage)
            }
        }
        let reader = ConfigReader(providers: providers)
        let address = listen ?? reader.string(forKey: "listen", default: "127.0.0.1:8080")
        let (host, port) = try endpoint(address, key: "listen")
        let folder = data ?? reader.string(forKey: "data", default: defaultData)
        let (routerHost, configuredPort) = try endpoint(
            reader.string(forKey: "router.listen", default: "127.0.0.1:8000"), key: "router.listen")
        let isLocal = host == "localhost" || host == "::1" || host.hasPrefix("127.")
        let readers = reader.string(forKey: "readers", default: isLocal ? "anyone" : "token")
        guard ["anyone", "token"].contains(readers) else {
            throw Failure("readers: '\(readers)' is unknown", hint: "write 'anyone' or 'token'", status: Failure.usage)
        }
        let path = FilePath(URL(fileURLWithPath: folder).standardizedFileURL.path)
        let store = reader.string(forKey: "store", isSecret: true).flatMap { $0.isEmpty ? nil : StoreLocation($0) }
        let roles = try ServerRoles(role ?? reader.string(forKey: "role", default: "\(ServerRoles.all)"))
        if roles != .all, store?.isShared != true {
            throw Failure(
                "role: '\(roles)' alone does half of the work, and no other server can use \(store ?? .file(path.appending("slipway.db")))",
                hint: "set 'store' to a PostgreSQL database, or leave 'role' out", status: Failure.usage)
        }
        return ServerSettings(
            data: path, roles: roles,
            store: store ?? .file(path.appending("slipway.db")),
            storeConnections: min(max(reader.int(forKey: "store_connections", default: 8), 1), 64), host: host, port: port,
            publicURL: reader.string(forKey: "url", default: "http://\(host):\(port)"), routerHost: routerHost,
            routerPort: routerPort ?? configuredPort,
            routerKind: try RouterKind(setting: reader.string(forKey: "router.kind", default: RouterKind.nginx.rawValue)),
            routerTLS: try routerTLS(reader, file: configuration), prometheus: try prometheus(reader.string(forKey: "prometheus")),
            nginx: reader.string(forKey: "router.nginx", default: "nginx"),
            haproxy: reader.string(forKey: "router.haproxy", default: "haproxy"),
            runtime: reader.string(forKey: "runtime", default: "runc"),
            bridge: reader.string(forKey: "network.bridge", default: "slipway0"),
            subnet: reader.string(forKey: "network.subnet", default: "10.83.0.0/16"),
            concurrentRuns: min(max(reader.int(forKey: "runs", default: 4), 1), 64),
            diskReserve: Int64(min(max(reader.int(forKey: "disk.reserve", default: 256), 0), 1 << 20)) << 20,
            keepWorkspace: try keepWorkspace(reader.string(forKey: "workspace.keep", default: "24h")),
            keepLogs: try keepLogs(reader.string(forKey: "logs.keep", default: "90d")),
            reconcileInterval: try interval(reader.string(forKey: "reconcile.interval", default: "5m"), key: "reconcile.interval"),
            quarantineAfter: max(reader.int(forKey: "quarantine.after", default: 3), 1),
            layers: try LayerLimits.read { reader.string(forKey: ConfigKey($0.rawValue)) },
            readersNeedToken: readers == "token",
            dockerConfig: reader.string(forKey: "registries.docker_config"),
            registries: try configuration.map { try RegistryFile(file: $0) } ?? .none,
            targets: try TargetSettings.read(reader, file: configuration, environment: ProcessInfo.processInfo.environment),
            governance: try GovernanceFile.read(file: configuration, environment: ProcessInfo.processInfo.environment),
            buildsReachPrivate: reader.bool(forKey: "build.private_addresses", default: false),
            registry: try EmbeddedRegistrySettings.read(reader, readersNeedToken: readers == "token"),
            logLevel: reader.string(forKey: "log.level", default: "info"))
    }

    /// `router.tls`; nil without a folder of certificates, which is relative to the file.
    private static func routerTLS(_ reader: ConfigReader, file: String?) throws -> RouterTLS? {
        let address = reader.string(forKey: "router.tls.listen")
        guard let folder = reader.string(forKey: "router.tls.certificates") else {
            guard address == nil else {
                throw Failure(
                    "router.tls.listen is set, and there are no certificates",
                    hint: "set router.tls.certificates to a folder with HOST.pem and HOST.key",
                    status: Failure.usage)
            }
            return nil
        }
        guard try RouterKind(setting: reader.string(forKey: "router.kind", default: RouterKind.nginx.rawValue)) != .none else {
            throw Failure(
                "router.tls is set, and there is no router", hint: "remove it, or set router.kind to nginx or haproxy", status: Failure.usage)
        }
        let (host, port) = try endpoint(address ?? "127.0.0.1:8443", key: "router.tls.listen")
        let base = file.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
        return RouterTLS(
            certificates: FilePath(URL(fileURLWithPath: folder, relativeTo: base).standardizedFileURL.path), listenAddress: host,
            listenPort: port, redirect: reader.bool(forKey: "router.tls.redirect", default: false))
    }

    private static func prometheus(_ text: String?) throws -> String? {
        guard let text, !text.isEmpty else { return nil }
        guard let url = URLComponents(string: text), ["http", "https"].contains(url.scheme), url.host?.isEmpty == false, url.query == nil,
            url.fragment == nil, url.user == nil
        else { throw Failure("prometheus: '\(text)' is not its address", hint: "write as in http://127.0.0.1:9090", status: Failure.usage) }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    private static func keepWorkspace(_ text: String) throws -> Double {
        guard let time = Quantities.duration(text) else {
            throw Failure("workspace.keep: '\(text)' is not a duration", hint: "write as in 30m, 24h or 7d", status: Failure.usage)
        }
        return Double(time.components.seconds)
    }

    /// Zero would mean "at once" to some and "for ever" to others.
    private static func keepLogs(_ text: String) throws -> Double? {
        if text == "forever" { return nil }
        guard let time = Quantities.duration(text), time >= .seconds(1) else {
            throw Failure("logs.keep: '\(text)' is not a duration", hint: "write as in 24h, 90d or 52w, or 'forever'", status: Failure.usage)
        }
        return Double(time.components.seconds)
    }

    /// A duration that is zero, or long enough not to be a nuisance to forges.
    private static func interval(_ text: String, key: String) throws -> Duration {
        guard let duration = Quantities.duration(text == "0" ? "0s" : text), duration == .zero || duration >= .seconds(1) else {
            throw Failure(
                "\(key): '\(text)' is not a duration", hint: "write as in 5m, at least 1s, or 0 for never", status: Failure.usage)
        }
        return duration
    }

    var containerRuntime: RuntimeSettings {
        var settings = RuntimeSettings()
        settings.runtime = runtime
        settings.bridge = bridge
        settings.networkName = bridge
        settings.subnet = subnet
        return settings
    }

    private static func endpoint(_ text: String, key: String) throws -> (String, Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65535).contains(port), colon != text.startIndex
        else {
            throw Failure("\(key): '\(text)' is not an address", hint: "write HOST:PORT, as in 127.0.0.1:8080", status: Failure.usage)
        }
        return (String(text[..<colon]), port)
    }
}
