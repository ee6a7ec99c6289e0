import Foundation
import Testing

extension EndToEnd {
    /// Status line and headers, and after an empty line the body.
    private func registry(_ arguments: String..., input: String = "") async throws -> String {
        try await command("/usr/bin/curl", ["-sS", "-i", "--max-time", "20"] + arguments, input: Data(input.utf8)).output
    }

    @Test("The embedded registry: everybody may pull on loopback, only the token pushes, clients are told how to log in")
    func registryAccess() async throws {
        try await ServerFixture.with { server in
            let base = "\(server.url)/v2"
            let challenge = try await registry("\(base)/").lowercased()
            #expect(challenge.hasPrefix("http/1.1 401"))
            #expect(challenge.contains("www-authenticate: bearer realm=\"\(server.url)/registry/token\""), "\(challenge)")
            #expect(try await registry("\(server.url)/registry/token").contains("\"expires_in\":300"))
            #expect(try await registry("-u", "admin:wrong", "\(server.url)/registry/token").hasPrefix("HTTP/1.1 401"))
            let token = try await http(
                "GET", "\(server.url)/registry/token",
                headers: ["Authorization": "Basic " + Data("admin:\(server.token)".utf8).base64EncodedString()])
            #expect(token.status == 200 && token.body.contains("\"expires_in\""))
            #expect(try await registry("\(base)/library/busybox/manifests/1").hasPrefix("HTTP/1.1 200"))

            let upload = "\(base)/shop/new/blobs/uploads/"
            #expect(try await registry("-X", "POST", upload).hasPrefix("HTTP/1.1 401"))
            #expect(try await registry("-X", "POST", "-H", "Authorization: Bearer anonymous", upload).hasPrefix("HTTP/1.1 401"))
            #expect(try await registry("-X", "DELETE", "\(base)/library/busybox/manifests/1").hasPrefix("HTTP/1.1 401"))
        }
    }

    @Test("An upload goes on where it stopped after a restart of the server")
    func uploadAfterRestart() async throws {
        try await ServerFixture.with { server in
            let login = "Authorization: Bearer \(server.token)"
            let begun = try await registry("-X", "POST", "-H", login, "\(server.url)/v2/shop/new/blobs/uploads/")
            let location = try #require(
                begun.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix("location:") }?
                    .drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces))
            let address = location.hasPrefix("/") ? server.url + location : location
            let first = try await registry(
                "-X", "PATCH", "-H", login, "-H", "Content-Type: application/octet-stream", "--data-binary", "@-", address,
                input: "hello ")
            #expect(first.hasPrefix("HTTP/1.1 202"), "\(first)")
            try await server.kill9()
            try await server.start()
            let status = try await registry("-H", login, address)
            #expect(status.hasPrefix("HTTP/1.1 204") && status.lowercased().contains("range: 0-5"), "\(status)")
            let digest = "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
            let finished = try await registry(
                "-X", "PUT", "-H", login, "--data-binary", "@-", "\(address)?digest=\(digest)", input: "world")
            #expect(finished.hasPrefix("HTTP/1.1 201"), "\(finished)")
            #expect(try await registry("\(server.url)/v2/shop/new/blobs/\(digest)").hasSuffix("hello world"))
        }
    }
}
