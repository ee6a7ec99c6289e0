import Configuration
import Deployer
import Foundation
import SystemPackage
import Yams

/// Where stages may run, by the names that pipeline files use: the part `targets:` of the settings. docs/server.md describes it.
struct TargetSettings {
    enum Kind {
        /// Containers of this machine, by the runtime of its own.
        case host
        case docker(Docker)
    }

    struct Docker {
        var hosts: [DockerHost]
        var tls: DockerTLS?
        /// `host[:port]` by which the hosts pull images; nil: the embedded registry at its own address.
        var registry: String?
    }

    private(set) var kinds: [String: Kind] = ["local": .host]
    /// Whether systemd keeps instances on this machine, and the router, alive. All targets of the kind `host` are one machine.
    private(set) var units = false

    static let keys = ["kind", "units", "hosts", "registry", "certificate_authority", "client_certificate", "client_key"]

    /// - Parameters:
    ///   - file: the configuration file; names and unknown keys are looked for there.
    ///   - environment: names are looked for in `SLIPWAY_TARGETS_<NAME>_KIND`.
    static func read(_ reader: ConfigReader, file: String?, environment: [String: String]) throws -> TargetSettings {
        var settings = TargetSettings()
        var names = try file.map(names(inFile:)) ?? []
        for key in environment.keys where key.hasPrefix("SLIPWAY_TARGETS_") && key.hasSuffix("_KIND") {
            let name = key.dropFirst("SLIPWAY_TARGETS_".count).dropLast("_KIND".count).lowercased()
                .replacingOccurrences(of: "_", with: "-")
            if !names.contains(name) { names.append(name) }
        }
        let folder = file.map { FilePath(URL(fileURLWithPath: $0).deletingLastPathComponent().path) }
        for name in names { settings.kinds[name] = try kind(name, reader, folder) }
        settings.units = try units(names, reader, environment)
        return settings
    }

    private static func units(_ names: [String], _ reader: ConfigReader, _ environment: [String: String]) throws -> Bool {
        var said: [(name: String, value: Bool)] = []
        for name in names {
            let variable = "SLIPWAY_TARGETS_\(name.uppercased().replacingOccurrences(of: "-", with: "_"))_UNITS"
            if let value = reader.bool(forKey: ConfigKey("targets.\(name).units")) {
                said.append((name, value))
            } else if let text = environment[variable] {
                throw Failure("targets.\(name): units '\(text)' is neither true nor false", hint: "write true or false", status: Failure.usage)
            }
        }
        if let yes = said.first(where: { $0.value }), let no = said.first(where: { !$0.value }) {
            throw Failure(
                "targets.\(yes.name) has units, targets.\(no.name) has none, and both are this machine",
                hint: "say the same for all targets of the kind 'host'", status: Failure.usage)
        }
        return said.contains { $0.value }
    }

    private static func kind(_ name: String, _ reader: ConfigReader, _ folder: FilePath?) throws -> Kind {
        func text(_ key: String) -> String? { reader.string(forKey: ConfigKey("targets.\(name).\(key)")).flatMap { $0.isEmpty ? nil : $0 } }
        func wrong(_ message: String, _ hint: String) -> Failure { Failure("targets.\(name): \(message)", hint: hint, status: Failure.usage) }
        guard name.wholeMatch(of: /[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/) != nil else {
            throw wrong("a target cannot be called that", "use lower case letters, digits and dashes, as in 'box'")
        }
        switch text("kind") {
        case "host":
            for key in keys.dropFirst(2) where text(key) != nil || reader.stringArray(forKey: ConfigKey("targets.\(name).\(key)")) != nil {
                throw wrong("'\(key)' is not a setting of the kind 'host'", "leave it out, or write 'kind: docker'")
            }
            return .host
        case "docker":
            guard reader.bool(forKey: ConfigKey("targets.\(name).units")) == nil else {
                throw wrong("'units' is not a setting of the kind 'docker'", "leave it out: it is for this machine, 'kind: host'")
            }
        case let other:
            throw wrong(
                other.map { "there is no kind '\($0)'" } ?? "it has no kind", "write 'kind: host' for this machine, or 'kind: docker'")
        }
        let addresses = reader.stringArray(forKey: ConfigKey("targets.\(name).hosts"), default: []).filter { !$0.isEmpty }
        guard !addresses.isEmpty else { throw wrong("it has no hosts", "write hosts: [\"unix:///var/run/docker.sock\"]") }
        guard Set(addresses).count == addresses.count else { throw wrong("a host is named twice", "name each once") }
        do {
            let hosts = try addresses.map { try DockerHost(parsing: $0) }
            let tls = try certificates(text, folder, wrong)
            for host in hosts where host.needsTLS && tls == nil {
                throw wrong(
                    "\(host) would be asked without TLS, and who reaches it there has the whole machine",
                    "set certificate_authority, client_certificate and client_key, or write ssh://USER@HOST")
            }
            let registry = text("registry")
            if let registry, registry.contains("/") { throw wrong("registry '\(registry)' is not an address", "write HOST or HOST:PORT") }
            return .docker(Docker(hosts: hosts, tls: tls, registry: registry))
        } catch let error as DeployerError {
            throw wrong(error.message, error.hint)
        }
    }

    private static func certificates(
        _ text: (String) -> String?, _ folder: FilePath?, _ wrong: (String, String) -> Failure
    ) throws -> DockerTLS? {
        let files = keys.suffix(3).map { key in text(key).map { $0.hasPrefix("/") ? FilePath($0) : (folder ?? ".").appending($0) } }
        guard files.contains(where: { $0 != nil }) else { return nil }
        guard let authority = files[0], let certificate = files[1], let key = files[2] else {
            throw wrong("TLS needs three files", "set certificate_authority, client_certificate and client_key")
        }
        return try DockerTLS(certificateAuthority: authority, certificate: certificate, key: key)
    }

    private static func names(inFile file: String) throws -> [String] {
        let root: Node?
        do { root = try Yams.compose(yaml: try String(contentsOfFile: file, encoding: .utf8)) } catch {
            throw Failure("the configuration \(file) cannot be read: \(error)", hint: "docs/server.md describes the file", status: Failure.usage)
        }
        guard let node = root?["targets"], node.null == nil else { return [] }
        func wrong(_ node: Node, _ what: String, _ hint: String) -> Failure {
            Failure("\(file)\(node.mark.map { ":\($0.line):\($0.column)" } ?? ""): \(what)", hint: hint, status: Failure.usage)
        }
        guard let mapping = node.mapping else { throw wrong(node, "targets is not a list of names with settings", "write NAME: {kind: docker, …}") }
        return try mapping.map { key, value in
            guard let name = key.string, let settings = value.mapping else {
                throw wrong(value, "a target is a name with settings", "write NAME: {kind: docker, …}")
            }
            if let units = settings["units"], units.bool == nil {
                throw wrong(units, "targets.\(name): units is neither true nor false", "write units: true, or leave it out")
            }
            for setting in settings.keys where !keys.contains(setting.string ?? "") {
                throw wrong(
                    setting, "targets.\(name): there is no setting '\(setting.string ?? "")'", "choose one of \(keys.joined(separator: ", "))")
            }
            return name
        }
    }
}
