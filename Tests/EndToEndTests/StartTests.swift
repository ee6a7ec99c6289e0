import Foundation
import FreePort
import Testing

extension EndToEnd {
    @Test("What a server cannot start on is said in one line, with what to do, and exit status 1")
    func refusedStarts() async throws {
        try await ServerFixture.with { server in
            func serve(_ data: String, port: Int, _ settings: [String: String] = [:]) async throws -> Outcome {
                try await command(
                    ServerFixture.binary,
                    ["serve", "--data", data, "--listen", "127.0.0.1:\(port)", "--router-port", "\(freePort())"],
                    environment: settings)
            }
            let fresh = "\(server.folder.path)/fresh"
            let file = server.folder.appendingPathComponent("file")
            try Data().write(to: file)
            let cases = [
                (try await serve("\(server.folder.path)/second", port: server.port), "cannot listen on 127.0.0.1:\(server.port)"),
                (try await serve(server.data.path, port: freePort()), "another server uses the data directory"),
                (try await serve("\(file.path)/data", port: freePort()), "the data directory \(file.path)/data cannot be written"),
                (try await serve(fresh, port: freePort(), ["SLIPWAY_RUNTIME": "/nowhere/runc"]), "/nowhere/runc: "),
                (try await serve(fresh, port: freePort(), ["SLIPWAY_ROUTER_NGINX": "/nowhere/nginx"]), "nginx is missing"),
            ]
            for (outcome, message) in cases {
                let lines = outcome.errors.split(separator: "\n")
                #expect(outcome.status == 1)
                #expect(lines.count == 2 && lines[0].hasPrefix("slipway: \(message)") && lines[1].hasPrefix("  "), "\(outcome.errors)")
            }
        }
    }
}
