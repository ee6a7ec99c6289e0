import BlockingQueue
import Glibc
import SystemPackage

extension ContainerRuntime {
    /// Tries what containers need on this machine, one finding each. For `slipway doctor`.
    public func check() async -> [DoctorFinding] {
        let install = "apt-get install runc conmon containernetworking-plugins"
        let findings = try? await queue.run { _ in
            var findings = [
                DoctorFinding(
                    name: "root", ok: geteuid() == 0, message: geteuid() == 0 ? "running as root" : "running as user \(geteuid())",
                    hint: geteuid() == 0 ? nil : "containers need root: start slipway as root")
            ]
            for program in [settings.runtime, settings.conmon] {
                findings.append(finding(program, hint: install) { try version(program) })
            }
            findings.append(
                finding("CNI plugins", hint: install) {
                    for plugin in ["bridge", "host-local"] {
                        let path = settings.cniPluginFolder.appending(plugin)
                        guard access(path.string, X_OK) == 0 else { throw ContainerError.missing(path.string) }
                    }
                    return settings.cniPluginFolder.string
                })
            findings.append(finding("overlayfs", hint: "load the kernel's overlay module; keep the data directory off overlayfs", tryOverlay))
            findings.append(finding("cgroups", hint: "mount the cgroup file system writable at \(Cgroups.mountPoint)", tryCgroup))
            return findings
        }
        return findings ?? []
    }

    private func finding(_ name: String, hint: String, _ body: () throws -> String) -> DoctorFinding {
        do { return DoctorFinding(name: name, ok: true, message: try body()) } catch {
            return DoctorFinding(name: name, ok: false, message: (error as? ContainerError)?.message ?? "\(error)", hint: hint)
        }
    }

    private func version(_ program: String) throws -> String {
        let path = try Command.find(program, in: settings.searchPath)
        let result = try Command(
            program: path, arguments: ["--version"], environment: ["PATH": settings.searchPath]
        ).run(timeout: 10)
        guard result.code == 0 else { throw ContainerError(.runtimeFailed, "\(path) --version: exit code \(result.code) \(result.errors)") }
        return result.output.split(separator: "\n").first.map(String.init) ?? path
    }

    /// Not a valid id, so that no list shows it.
    private func tryOverlay() throws -> String {
        let prefix = ".check."
        for left in Files.names(in: root) where left.hasPrefix(prefix) {
            // Of a server that was killed in the middle of this.
            guard let pid = Int32(left.dropFirst(prefix.count)), kill(pid, 0) != 0 else { continue }
            let paths = ContainerPaths(id: "check", folder: root.appending(left), state: state)
            Overlay.unmount(paths)
            try Files.removeTree(paths.folder)
        }
        let paths = ContainerPaths(id: "check", folder: root.appending("\(prefix)\(getpid())"), state: state)
        try Files.makeFolder(paths.folder)
        defer {
            Overlay.unmount(paths)
            try? Files.removeTree(paths.folder)
        }
        try Overlay.mount(ContainerSpec(id: "check", layers: [], arguments: []), paths)
        return "mounts below \(root)"
    }

    private func tryCgroup() throws -> String {
        for folder in Cgroups.unified ? [""] : ["/memory", "/pids", "/cpu"] {
            let path = FilePath("\(Cgroups.mountPoint)\(folder)/slipway/check-\(getpid())")
            defer { rmdir(path.string) }
            try Files.makeFolder(path, mode: 0o755)
        }
        return Cgroups.unified ? "version 2" : "version 1"
    }
}
