import AsyncHTTPClient
import Foundation
import FreePort
import HTTPTypes
import Hummingbird
import Logging
import LoopbackServer
import NIOHTTP1
import SSHServer
import SystemPackage
import Testing

@testable import Deployer

/// Hosts that are reached by ssh. Needs root, openssh-client and openssh-server.
@Suite(.serialized) struct SSHForwardTests {
    @Test func addresses() throws {
        func remote(_ text: String) throws -> RemoteSocket? {
            if case .ssh(let remote) = try DockerHost(parsing: text).endpoint { remote } else { nil }
        }
        let box = try #require(try remote("ssh://deploy@10.0.0.5"))
        #expect(box.user == "deploy" && box.host == "10.0.0.5" && box.port == nil && box.path == "/var/run/docker.sock")
        #expect(box.destination == ["-l", "deploy", "--", "10.0.0.5"] && "\(box)" == "deploy@10.0.0.5")
        let other = try #require(try remote("ssh://box.example.org:2222/run/podman/podman.sock?address=10.0.0.5"))
        #expect(other.user == nil && other.port == 2222 && other.path == "/run/podman/podman.sock")
        #expect(other.destination == ["-p", "2222", "--", "box.example.org"])
        #expect(try remote("ssh://u@[fd00::5]:22/")?.destination == ["-l", "u", "-p", "22", "--", "fd00::5"])
        #expect(try remote("ssh://[fd00::5]")?.host == "fd00::5")
        let host = try DockerHost(parsing: "ssh://box?address=10.0.0.5")
        #expect(host.address == "10.0.0.5" && !host.isLoopback && !host.needsTLS)
        #expect(try DockerHost(parsing: "ssh://root@127.0.0.1").address == "127.0.0.1")
        for bad in [
            "ssh://", "ssh://box", "ssh://-oProxyCommand=x?address=10.0.0.5", "ssh://-l@10.0.0.5", "ssh://@10.0.0.5", "ssh://u:secret@10.0.0.5",
            "ssh://10.0.0.5:0", "ssh://10.0.0.5:", "ssh://10.0.0.5:ssh", "ssh://u v@10.0.0.5", "ssh://10.0.0.5/run/%h.sock",
            "ssh://10.0.0.5/run/a:b", "ssh://10.0.0.5/$HOME/a", "ssh://10.0.0.5/\(String(repeating: "a", count: 107))", "ssh://fd00::5:22:x",
        ] {
            #expect(throws: DeployerError.self, "\(bad)") { try DockerHost(parsing: bad) }
        }
    }

    @Test func aConnectionThatEndsIsMadeAgain() async throws {
        try await withSSH { server, docker, target in
            #expect(await problem(target) == nil)
            let sockets = target.settings.sockets.string
            let first = try #require(SSHServer.forwards(to: sockets).first)
            let mode = try FileManager.default.attributesOfItem(atPath: sockets)[.posixPermissions] as? Int
            #expect(mode == 0o700)
            #expect(await problem(target) == nil)
            #expect(SSHServer.forwards(to: sockets) == [first])

            kill(first, SIGKILL)
            #expect(try await eventually { ![[], [first]].contains(SSHServer.forwards(to: sockets)) })
            #expect(try await eventually { await problem(target) == nil })

            try await server.stop()
            #expect(try await eventually { await problem(target)?.contains("Connection refused") == true })
            try await server.start()
            #expect(try await eventually { await problem(target) == nil })

            // The daemon itself is not there.
            try FileManager.default.removeItem(atPath: docker)
            let said = await problem(target) ?? ""
            #expect(said.contains("may root@127.0.0.1:\(server.port) use \(docker)"), "\(said)")
        }
    }

    @Test func whatSSHSaysIsTold() async throws {
        try await withSSH { server, docker, _ in
            func hears(_ words: String, _ change: (inout DockerTarget.Settings) throws -> Void) async throws {
                var settings = try Self.settings(server, docker, "told")
                try change(&settings)
                let target = Self.target(settings)
                let said = try await running(target) { await problem(target) }
                #expect(said?.contains(words) == true, "\(said ?? "")")
                #expect(said?.hasPrefix("the docker host ssh://root@127.0.0.1:\(server.port)\(docker) is not reached by ssh: ") == true)
            }
            try await hears("(apt-get install openssh-client)") { $0.ssh = "/nowhere/ssh" }
            try await hears("Host key verification failed.") { _ in try Data().write(to: server.knownHosts) }
            try Data("[127.0.0.1]:\(server.port) \(String(contentsOf: server.folder.appendingPathComponent("host.pub"), encoding: .utf8))".utf8)
                .write(to: server.knownHosts)
            try await hears("Permission denied (publickey).") { _ in try Data().write(to: server.authorizedKeys) }
        }
    }

    // MARK: -

    private static func settings(_ server: SSHServer, _ docker: String, _ folder: String) throws -> DockerTarget.Settings {
        .init(
            hosts: [try DockerHost(parsing: "ssh://root@127.0.0.1:\(server.port)\(docker)")], owner: "test",
            sockets: FilePath(server.folder.path).appending(folder), ssh: server.ssh)
    }

    private static func target(_ settings: DockerTarget.Settings) -> DockerTarget {
        DockerTarget(settings: settings, client: .shared, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })) { _, _ in
            DockerImageSource(name: "")
        }
    }

    /// Nil: the host answers.
    private func problem(_ target: DockerTarget) async -> String? {
        for (_, result) in await target.onEach({ api in _ = try await api.ask(.GET, "/_ping") }) {
            do { _ = try result.get() } catch { return "\(error)" }
        }
        return nil
    }

    private func running<T: Sendable>(_ target: DockerTarget, _ body: () async throws -> T) async throws -> T {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await target.run() }
            defer { group.cancelAll() }
            return try await body()
        }
    }

    /// An sshd, what answers as Docker behind it, and a target of that; nothing of ssh is left afterwards.
    private func withSSH(_ body: @escaping @Sendable (SSHServer, String, DockerTarget) async throws -> Void) async throws {
        // Their sockets have short names.
        let folder = URL(fileURLWithPath: "/tmp/ss-\(UUID().uuidString.prefix(8).lowercased())")
        try await SSHServer.with(folder, port: try freePort()) { server in
            let docker = "\(folder.path)/docker.sock"
            let router = Hummingbird.Router(context: BasicRequestContext.self)
            for path in ["/_ping", "/v1.41/_ping"] {
                router.get(RouterPath(path)) { _, _ in Response(status: .ok, headers: [try #require(HTTPField.Name("Api-Version")): "1.41"]) }
            }
            try await serve(router, at: .unixDomainSocket(path: docker)) { _ in
                let target = Self.target(try Self.settings(server, docker, "s"))
                try await running(target) { try await body(server, docker, target) }
                let sockets = target.settings.sockets
                #expect(SSHServer.forwards(to: sockets.string).isEmpty)
                #expect(try FileManager.default.contentsOfDirectory(atPath: sockets.string).isEmpty)
            }
        }
    }
}
