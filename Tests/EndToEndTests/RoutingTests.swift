import Foundation
import FreePort
import Testing

extension EndToEnd {
    @Test("A service takes over a path of an older application, then all of it, by HTTP and by HTTPS")
    func pathByPath() async throws {
        try await ServerFixture.with { server in
            let certificates = server.folder.appendingPathComponent("certificates")
            let securePort = try freePort()
            try await makeCertificate(for: "dev.localhost", in: certificates)
            server.environment["SLIPWAY_ROUTER_TLS_CERTIFICATES"] = certificates.path
            server.environment["SLIPWAY_ROUTER_TLS_LISTEN"] = "127.0.0.1:\(securePort)"
            #expect(try await server.stop() == 0)
            try await server.start()
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)

            // The older application is the server's own pages, which know /healthz and nothing below /shop.
            let first = SampleRepository.pipeline().replacing(
                "host: dev.localhost,", with: #"host: dev.localhost, path: /shop, strip_prefix: true, legacy: "\#(server.url)","#)
            try await server.deliverToDev(try await repository.commit(version: "1", pipeline: first), of: project)
            #expect(try await server.answer(of: "dev", path: "/shop/index.html").body == "version 1")
            #expect(try await server.answer(of: "dev", path: "/login").body.contains("Sign in"))
            func ask(_ path: String) async throws -> String {
                let answer = try await command(
                    "/usr/bin/curl",
                    [
                        "-sS", "--max-time", "20", "--cacert", certificates.path + "/dev.localhost.pem", "--resolve",
                        "dev.localhost:\(securePort):127.0.0.1", "https://dev.localhost:\(securePort)\(path)",
                    ])
                return answer.output.trimmingCharacters(in: .whitespacesAndNewlines) + answer.errors
            }
            try await until("HTTPS answers", seconds: 30) { try await ask("/shop/index.html") == "version 1" }
            #expect(try await ask("/login").contains("Sign in"))

            try await server.deliverToDev(try await repository.commit(version: "2"), of: project)
            #expect(try await server.answer(of: "dev").body == "version 2")
            #expect(try await server.answer(of: "dev", path: "/login").status == 404)
            #expect(try await ask("/") == "version 2")
        }
    }

    private func makeCertificate(for host: String, in folder: URL) async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent(host).path
        let made = try await command(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=\(host)", "-addext",
                "subjectAltName=DNS:\(host)", "-keyout", "\(file).key", "-out", "\(file).pem",
            ])
        guard made.status == 0 else { throw Failed(made.errors) }
    }

    @Test("Requests in flight start instances, their end stops them, and nobody notices")
    func autoscaling() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            try repository.write("#!/bin/sh\nsleep 1\nprintf 'Content-Type: text/plain\\r\\n\\r\\nslept\\n'\n", to: "www/cgi-bin/slow")
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: repository.folder.path + "/www/cgi-bin/slow")
            let pipeline = SampleRepository.pipeline().replacing(
                "host: dev.localhost,", with: "host: dev.localhost, autoscale: {max: 3, requests: 2, cooldown: 5s},")
            try await server.deliverToDev(try await repository.commit(version: "1", pipeline: pipeline), of: project)
            #expect(server.containers.count == 1)
            let isOver = Flag()
            let slow = "http://127.0.0.1:\(server.routerPort)/cgi-bin/slow"
            let answers = try await withThrowingTaskGroup(of: [String: Int].self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        var answers: [String: Int] = [:]
                        while !isOver.isSet {
                            let answer = try await http("GET", slow, headers: ["Host": "dev.localhost"])
                            answers["\(answer.status) \(answer.body)", default: 0] += 1
                        }
                        return answers
                    }
                }
                do { try await until("there are three instances", seconds: 40) { server.containers.count == 3 } } catch {
                    isOver.set()
                    throw error
                }
                #expect(try await server.slipway("status", "sample").output.contains("3 instances since"))
                isOver.set()
                return try await group.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
            }
            try await until("there is one instance again", seconds: 60) { server.containers.count == 1 }
            #expect(Set(answers.keys) == ["200 slept\n"], "\(answers)")
            #expect(try await server.answer(of: "dev").body == "version 1")
        }
    }
}
