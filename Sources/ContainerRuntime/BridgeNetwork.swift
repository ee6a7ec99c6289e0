import FoundationEssentials
import Glibc
import SystemPackage

/// Attaches containers to the bridge by CNI plugins (CNI spec 1.0.0), one executable per call.
struct BridgeNetwork {
    /// What the `bridge` plugin reads on its standard input.
    struct Configuration: Codable {
        struct Addresses: Codable {
            struct Range: Codable { var subnet: String }
            struct Route: Codable { var dst: String }
            var type = "host-local"
            var dataDir: String
            var ranges: [[Range]]
            var routes = [Route(dst: "0.0.0.0/0")]
        }
        var cniVersion = "1.0.0"
        var name: String
        var type = "bridge"
        var bridge: String
        var isGateway = true
        var ipMasq = false
        var hairpinMode = true
        var ipam: Addresses
    }

    private struct Result: Decodable {
        struct Address: Decodable { var address: String }
        var ips: [Address]?
    }

    private struct Failure: Decodable {
        var msg: String
        var details: String?
    }

    let settings: RuntimeSettings
    let paths: ContainerPaths
    /// Unique on this machine, not only in this runtime.
    let containerID: String

    /// Gives the network namespace of `pid` an address on the bridge and returns it. The namespace belongs to the
    /// container alone and ends with it, so there is nothing to unmount when anyone dies.
    ///
    /// - Parameter wanted: the address it is to have; another one when somebody has that, or it is not of the bridge.
    func attach(pid: Int32, preferring wanted: String? = nil) throws(ContainerError) -> String {
        let configuration = Configuration(
            name: settings.networkName, bridge: settings.bridge,
            ipam: .init(dataDir: settings.networkFolder.string, ranges: [[.init(subnet: settings.subnet)]]))
        try Files.makeFolder(settings.networkFolder)
        try Files.write(configuration, to: paths.network)
        let output: String
        if Files.exists(FilePath("/sys/class/net/\(settings.bridge)")) {
            output = try add("/proc/\(pid)/ns/net", preferring: wanted)
        } else {
            // Two plugins must not make the bridge at the same moment.
            do {
                output = try Files.withLock(
                    settings.networkFolder.appending("bridge.lock"), Patience(limit: settings.lockPatience)
                ) {
                    let output = try add("/proc/\(pid)/ns/net", preferring: wanted)
                    if settings.masquerade { masquerade() }
                    return output
                }
            } catch let error as ContainerError { throw error } catch { throw .file("attach", paths.network, error) }
        }
        let result = try? JSONDecoder().decode(Result.self, from: Data(output.utf8))
        guard let address = result?.ips?.first?.address.split(separator: "/").first else {
            throw ContainerError(.networkFailed, "the bridge plugin gave no address: \(output.prefix(500))")
        }
        return String(address)
    }

    private func add(_ namespace: String, preferring wanted: String?) throws(ContainerError) -> String {
        if let wanted {
            // The plugin that makes the interface does not know the argument of the one that gives addresses.
            if let output = try? call("ADD", namespace: namespace, arguments: "IgnoreUnknown=1;IP=\(wanted)") {
                try Neighbours.forget(wanted, on: settings.bridge)
                return output
            }
            // The interface was made before the address was refused.
            _ = try call("DEL", namespace: namespace)
        }
        return try call("ADD", namespace: namespace)
    }

    /// Gives the address back. Safe to repeat, and after the namespace is gone.
    func detach() throws(ContainerError) {
        guard Files.exists(paths.network) else { return }
        _ = try call("DEL", namespace: "")
    }

    /// - Parameter arguments: `CNI_ARGS`, `KEY=value` with `;` between them.
    private func call(_ verb: String, namespace: String, arguments: String? = nil) throws(ContainerError) -> String {
        let program = settings.cniPluginFolder.appending("bridge").string
        guard access(program, X_OK) == 0 else { throw ContainerError.missing("CNI plugin \(program)") }
        var environment = [
            "CNI_COMMAND": verb, "CNI_CONTAINERID": containerID, "CNI_NETNS": namespace, "CNI_IFNAME": "eth0",
            "CNI_PATH": settings.cniPluginFolder.string, "PATH": settings.searchPath,
        ]
        environment["CNI_ARGS"] = arguments
        let command = Command(program: program, arguments: [], environment: environment)
        let result = try command.run(input: paths.network)
        guard result.code == 0 else {
            let failure = try? JSONDecoder().decode(Failure.self, from: Data(result.output.utf8))
            let words = failure.map { [$0.msg, $0.details ?? ""].filter { !$0.isEmpty }.joined(separator: ": ") }
            throw ContainerError(
                .networkFailed, "network of \(paths.id): \(words ?? (result.errors + result.output).prefix(1000).description)",
                hint: "is another network using \(settings.subnet)? the bridge and its range are settings")
        }
        return result.output
    }

    /// One set of rules for the bridge, instead of one per container. Without iptables, containers reach this machine only.
    private func masquerade() {
        guard let iptables = try? Command.find("iptables", in: settings.searchPath) else { return }
        let rules: [(table: String, chain: String, rule: [String])] = [
            ("nat", "POSTROUTING", ["-s", settings.subnet, "!", "-d", settings.subnet, "-j", "MASQUERADE"]),
            ("filter", "FORWARD", ["-i", settings.bridge, "-j", "ACCEPT"]),
            ("filter", "FORWARD", ["-o", settings.bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]),
        ]
        for (table, chain, rule) in rules {
            func run(_ verb: String) -> Int32? {
                try? Command(
                    program: iptables, arguments: ["-w", "-t", table, verb, chain] + rule,
                    environment: ["PATH": settings.searchPath]
                ).run(timeout: 10).code
            }
            if run("-C") != 0 { _ = run("-I") }
        }
    }
}
