import Deployer
import SystemPackage

/// What sends requests to the services that are delivered: the setting `router.kind`.
enum RouterKind: String, CaseIterable {
    case nginx
    case haproxy
    case none

    init(setting: String) throws {
        guard let kind = RouterKind(rawValue: setting) else {
            throw Failure(
                "router.kind: '\(setting)' is unknown", hint: "write \(Self.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", "))",
                status: Failure.usage)
        }
        self = kind
    }
}

extension RouterKind {
    func makeRouter(folder: FilePath, settings: RouterSettings, probe: any HTTPProbe) throws -> any DaemonRouter {
        switch self {
        case .nginx: try NginxRouter(folder: folder, settings: settings, probe: probe)
        case .haproxy: try HAProxyRouter(folder: folder, settings: settings, probe: probe)
        case .none: try NoRouter(folder: folder, probe: probe)
        }
    }
}

extension ServerSettings {
    /// The router's program and its Debian package; nil: there is none.
    var routerProgram: (program: String, package: String)? {
        switch routerKind {
        case .nginx: (nginx, "nginx-light")
        case .haproxy: (haproxy, "haproxy")
        case .none: nil
        }
    }

    func makeRouter(folder: FilePath, probe: any HTTPProbe) throws -> any DaemonRouter {
        try routerKind.makeRouter(folder: folder, settings: routerSettings, probe: probe)
    }

    var routerSettings: RouterSettings {
        RouterSettings(
            listenAddress: routerHost, listenPort: routerPort, program: routerProgram?.program ?? "", tls: routerTLS)
    }
}
