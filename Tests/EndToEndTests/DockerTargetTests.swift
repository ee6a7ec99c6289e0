import DockerDaemon
import Foundation
import FreePort
import SSHServer
import Testing

extension EndToEnd {
    @Test("A stage on a Docker host: delivered, looked after, taken over by the next server, rolled back, removed")
    func dockerTarget() async throws {
        try await ServerFixture.with { server in
            // Their sockets have short names.
            let home = URL(fileURLWithPath: "/tmp/sd-\(UUID().uuidString.prefix(8).lowercased())")
            try await DockerDaemon.with(home, network: 9) { daemon in
                try await server.stop()
                server.environment["SLIPWAY_TARGETS_LOCAL_KIND"] = "docker"
                server.environment["SLIPWAY_TARGETS_LOCAL_HOSTS"] = "unix://\(daemon.socket)"
                // Pulling needs a login then.
                server.environment["SLIPWAY_READERS"] = "token"
                try await server.start()
                let doctor = try await command(
                    ServerFixture.binary, ["doctor", "--data", server.data.path],
                    environment: server.environment.merging([
                        "SLIPWAY_TARGETS_BOX_KIND": "docker", "SLIPWAY_TARGETS_BOX_HOSTS": "unix:///nowhere.sock",
                    ]) { $1 })
                #expect(doctor.output.contains("ok      target local: unix://\(daemon.socket): Docker API 1."), "\(doctor.output)")
                #expect(doctor.output.contains("FAILED  target box: the docker host unix:///nowhere.sock does not answer"), "\(doctor.output)")

                let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
                let project = try await server.addProject(repository)
                let first = try await server.deliverToDev(
                    repository.commit(version: "1", pipeline: SampleRepository.pipeline(replicas: 2)), of: project, seconds: 40)
                #expect(try await server.answer(of: "dev").body == "version 1")
                #expect(try await names(daemon).count == 2)
                #expect(server.containers.isEmpty)

                // One of them dies: the supervisor starts it again.
                let victim = try #require(try await names(daemon).first)
                try await daemon.ask("POST", "/containers/\(victim)/kill")
                try await until("the instance is started again", seconds: 40) { try await running(daemon) == 2 }
                try await server.kill9()
                #expect(try await server.answer(of: "dev").body == "version 1")
                try await server.start()

                let second = try await server.deliverToDev(
                    repository.commit(version: "2", pipeline: SampleRepository.pipeline(replicas: 2)), of: project, seconds: 40)
                #expect(first != second)
                #expect(try await server.answer(of: "dev").body == "version 2")
                #expect(try await names(daemon).count == 2)
                let back = try await server.slipway("rollback", "dev", "--project", "sample")
                #expect(back.status == 0, "\(back.errors)")
                try await server.live(first, in: "dev", seconds: 40)
                #expect(try await server.answer(of: "dev").body == "version 1")
                let removed = try await server.slipway("project", "remove", "sample")
                #expect(removed.status == 0, "\(removed.errors)")
                #expect(try await names(daemon).isEmpty)
            }
        }
    }

    @Test("A stage on a Docker host that is reached by ssh: delivered, served while the server is killed, looked after by the next one")
    func dockerTargetBySSH() async throws {
        try await ServerFixture.with { server in
            let home = URL(fileURLWithPath: "/tmp/sd-\(UUID().uuidString.prefix(8).lowercased())")
            try await DockerDaemon.with(home, network: 13) { daemon in
                try await SSHServer.with(home.appendingPathComponent("ssh"), port: try freePort()) { ssh in
                    try await server.stop()
                    let search = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin"
                    server.environment["PATH"] = "\(ssh.programs.path):\(search)"
                    server.environment["SLIPWAY_TARGETS_LOCAL_KIND"] = "docker"
                    server.environment["SLIPWAY_TARGETS_LOCAL_HOSTS"] = "ssh://root@127.0.0.1:\(ssh.port)\(daemon.socket)"
                    server.environment["SLIPWAY_TARGETS_LOCAL_REGISTRY"] = "127.0.0.1:\(server.port)"
                    let doctor = try await command(
                        ServerFixture.binary, ["doctor", "--data", server.data.path], environment: server.environment)
                    #expect(doctor.output.contains("ok      target local: ssh://root@127.0.0.1:"), "\(doctor.output)")
                    try await server.start()
                    let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
                    let project = try await server.addProject(repository)
                    _ = try await server.deliverToDev(
                        repository.commit(version: "1", pipeline: SampleRepository.pipeline(replicas: 2)), of: project, seconds: 40)
                    #expect(try await server.answer(of: "dev").body == "version 1")
                    #expect(try await names(daemon).count == 2)

                    // ssh does not outlive the server, however that ends; what is behind it does.
                    let forwards = "/run/slipway/ssh"
                    func ours() -> [Int32] {
                        SSHServer.forwards(to: forwards).filter { text(URL(fileURLWithPath: "/proc/\($0)"), "cmdline").contains(daemon.socket) }
                    }
                    #expect(ours().count == 1)
                    try await server.kill9()
                    try await until("ssh has ended too") { ours().isEmpty }
                    #expect(try await server.answer(of: "dev").body == "version 1")
                    let victim = try #require(try await names(daemon).first)
                    try await daemon.ask("POST", "/containers/\(victim)/kill")
                    try await server.start()
                    try await until("the instance is started again", seconds: 40) { try await running(daemon) == 2 }
                    #expect(ours().count == 1)
                    let removed = try await server.slipway("project", "remove", "sample")
                    #expect(removed.status == 0, "\(removed.errors)")
                    #expect(try await names(daemon).isEmpty)
                    #expect(try await server.stop() == 0)
                    #expect(ours().isEmpty)
                }
            }
        }
    }

    private struct Listed: Decodable {
        var Names: [String]
        var State: String
    }

    private func list(_ daemon: DockerDaemon) async throws -> [Listed] {
        try JSONDecoder().decode([Listed].self, from: Data(try await daemon.ask("GET", "/containers/json?all=1").utf8))
    }

    private func names(_ daemon: DockerDaemon) async throws -> [String] {
        try await list(daemon).flatMap(\.Names).map { String($0.dropFirst()) }.sorted()
    }

    private func running(_ daemon: DockerDaemon) async throws -> Int { try await list(daemon).count { $0.State == "running" } }
}
