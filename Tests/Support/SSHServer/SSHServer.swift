import DockerDaemon
public import Foundation

/// Debian's sshd on a loopback port, which lets root in by a key of its own, to forward and for nothing else; as root.
public struct SSHServer: Sendable {
    public let folder: URL
    public let port: Int

    public struct Problem: Error, CustomStringConvertible {
        public let description: String
    }

    /// The folder of a program `ssh` that has the key and knows the host, and nothing of the user's own.
    public var programs: URL { folder.appendingPathComponent("bin") }
    public var ssh: String { programs.appendingPathComponent("ssh").path }
    public var knownHosts: URL { folder.appendingPathComponent("known_hosts") }
    public var authorizedKeys: URL { folder.appendingPathComponent("authorized_keys") }

    /// Runs `body` with a server, and leaves nothing of it behind.
    ///
    /// - Parameter folder: made when missing.
    public static func with<T>(_ folder: URL, port: Int, _ body: (SSHServer) async throws -> T) async throws -> T {
        let server = SSHServer(folder, port)
        do {
            try await server.prepare()
            let result = try await body(server)
            await server.remove()
            return result
        } catch {
            await server.remove()
            throw error
        }
    }

    private init(_ folder: URL, _ port: Int) {
        self.folder = folder
        self.port = port
    }

    private func prepare() async throws {
        guard geteuid() == 0 else { throw Problem(description: "sshd needs root: run the tests as root") }
        for program in ["/usr/sbin/sshd", "/usr/bin/ssh-keygen"] where !FileManager.default.isExecutableFile(atPath: program) {
            throw Problem(description: "\(program) is missing: apt-get install openssh-server")
        }
        try FileManager.default.createDirectory(at: programs, withIntermediateDirectories: true)
        for name in ["host", "user"] {
            try await DockerDaemon.run("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", "\(folder.path)/\(name)"])
        }
        try Data("[127.0.0.1]:\(port) \(try text("host.pub"))".utf8).write(to: knownHosts)
        try Data("restrict,port-forwarding \(try text("user.pub"))".utf8).write(to: authorizedKeys)
        let client = """
            IdentityFile \(folder.path)/user
            IdentitiesOnly yes
            IdentityAgent none
            UserKnownHostsFile \(knownHosts.path)
            GlobalKnownHostsFile /dev/null
            UpdateHostKeys no

            """
        try Data(client.utf8).write(to: folder.appendingPathComponent("client"))
        try Data("#!/bin/sh\nexec /usr/bin/ssh -F \(folder.path)/client \"$@\"\n".utf8).write(to: URL(fileURLWithPath: ssh))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: ssh)
        let settings = """
            ListenAddress 127.0.0.1
            Port \(port)
            HostKey \(folder.path)/host
            AuthorizedKeysFile \(authorizedKeys.path)
            PermitRootLogin prohibit-password
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            StrictModes no
            UsePAM no
            PidFile \(folder.path)/pid

            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: self.settings))
        // Made by the init script of Debian's package: sshd has it empty as the root of what speaks with strangers.
        try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        try await start()
    }

    /// By a shell: Foundation waits in vain for programs that close what they have inherited, as those of OpenSSH do.
    public func start() async throws {
        try await DockerDaemon.run("/bin/sh", ["-c", "/usr/sbin/sshd -f '\(folder.path)/server' -E '\(folder.path)/log'; exit $?"])
        // Written once it listens.
        for _ in 0..<600 {
            if pid != nil { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Problem(description: "sshd does not start: \(((try? text("log")) ?? "").suffix(2000))")
    }

    /// With all connections.
    public func stop() async throws {
        guard let pid else { return }
        for process in Self.children(of: pid) + [pid] { kill(process, SIGTERM) }
        for _ in 0..<600 where Self.words(of: pid).contains(settings) { try await Task.sleep(for: .milliseconds(50)) }
        try? FileManager.default.removeItem(at: folder.appendingPathComponent("pid"))
    }

    private var settings: String { "\(folder.path)/server" }
    private var pid: Int32? { (try? text("pid")).flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) } }

    /// The processes of ssh that forward to sockets in a folder.
    public static func forwards(to folder: String) -> [Int32] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }.filter { pid in
            let words = words(of: pid)
            return words.first?.hasSuffix("ssh") == true && words.contains { $0.hasPrefix("\(folder)/") && $0.contains(":/") }
        }
    }

    /// A title may be one word with blanks in it.
    private static func words(of pid: Int32) -> [String] {
        guard let handle = FileHandle(forReadingAtPath: "/proc/\(pid)/cmdline") else { return [] }
        defer { try? handle.close() }
        return ((try? handle.readToEnd()) ?? Data()).split { $0 == 0 || $0 == UInt8(ascii: " ") }.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func children(of pid: Int32) -> [Int32] {
        guard let handle = FileHandle(forReadingAtPath: "/proc/\(pid)/task/\(pid)/children") else { return [] }
        defer { try? handle.close() }
        return String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self).split(separator: " ").compactMap { Int32($0) }
    }

    private func text(_ name: String) throws -> String { try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8) }

    private func remove() async {
        try? await stop()
        try? FileManager.default.removeItem(at: folder)
    }
}
