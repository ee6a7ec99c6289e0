import SystemPackage

/// The files by which a container finds names: hosts(5), resolv.conf(5), hostname(5).
struct NameFiles {
    let spec: ContainerSpec
    let paths: ContainerPaths
    let settings: RuntimeSettings

    /// Rewritten in place once the address is known, so that the bind mounts stay the same files.
    func write(address: String?) throws(ContainerError) {
        let name = spec.usableHostname
        var hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        if spec.network == .host, let own = Files.text("/etc/hosts") { hosts = own }
        hosts += "\(address ?? "127.0.1.1")\t\(name)\n"
        try overwrite(hosts, paths.hosts)
        guard address == nil else { return }
        try overwrite(name + "\n", paths.hostname)
        try overwrite(resolver, paths.resolvConf)
    }

    private var resolver: String {
        if let own = settings.nameservers { return own.map { "nameserver \($0)\n" }.joined() }
        guard spec.network != .none else { return "" }
        let machine = Files.text("/etc/resolv.conf") ?? ""
        if spec.network == .host { return machine }
        let local = usable(machine)
        // systemd-resolved listens on loopback and writes its upstreams here.
        let text = local.contains("nameserver") ? local : usable(Files.text("/run/systemd/resolve/resolv.conf") ?? "")
        return text
    }

    private func usable(_ text: String) -> String {
        text.split(separator: "\n").filter { line in
            !line.hasPrefix("nameserver 127.") && !line.hasPrefix("nameserver ::1")
        }.map { $0 + "\n" }.joined()
    }

    private func overwrite(_ text: String, _ path: FilePath) throws(ContainerError) {
        do {
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try file.closeAfter { _ = try file.writeAll([UInt8](text.utf8)) }
        } catch { throw ContainerError.file("write", path, error) }
    }
}
