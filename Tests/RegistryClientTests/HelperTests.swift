import Foundation
import RegistryClient
import Testing

/// Programs that keep logins.
struct HelperTests {
    private func config(_ json: String, _ folder: URL, timeout: Duration = .seconds(20)) throws -> DockerConfig {
        try DockerConfig(parsing: Array(json.utf8), helperPath: "\(folder.path):/usr/bin:/bin", helperTimeout: timeout)
    }

    private func helper(_ name: String, _ script: String, in folder: URL) throws {
        let file = folder.appendingPathComponent("docker-credential-\(name)")
        try "#!/bin/sh\n\(script)\n".write(to: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
    }

    @Test func areAskedForTheirRegistries() async throws {
        try await withFolder { folder in
            try helper(
                "one", #"read server; [ "$1" = get ] && echo "{\"ServerURL\":\"$server\",\"Username\":\"me\",\"Secret\":\"pw of $server\"}""#,
                in: folder)
            try helper("two", #"echo '{"Username":"<token>","Secret":"refresh"}'"#, in: folder)
            try helper("none", "echo credentials not found in native keychain; exit 1", in: folder)
            let auth = Data("file:pw".utf8).base64EncodedString()
            let config = try config(
                #"{"credHelpers":{"a.example.com:5000":"one","docker.io":"one","b.example.com":"two"},"credsStore":"none","auths":{"c.example.com":{"auth":"\#(auth)"}}}"#,
                folder)
            #expect(try await config.login(at: "a.example.com:5000") == .basic(user: "me", password: "pw of a.example.com:5000"))
            #expect(try await config.login(at: "docker.io") == .basic(user: "me", password: "pw of https://index.docker.io/v1/"))
            #expect(try await config.login(at: "b.example.com") == .identityToken("refresh"))
            #expect(try await config.login(at: "c.example.com") == .basic(user: "file", password: "pw"))
            #expect(try await config.login(at: "d.example.com") == nil)
        }
    }

    @Test func failuresNameTheProgramAndNoSecret() async throws {
        try await withFolder { folder in
            try helper("hangs", "sleep 100", in: folder)
            try helper("babbles", "head -c 1000000 /dev/zero", in: folder)
            try helper("breaks", "echo s3cret; exit 3", in: folder)
            try helper("nonsense", "echo '{\"Username\":\"s3cret\"}'", in: folder)
            for name in ["hangs", "babbles", "breaks", "nonsense", "missing", "../x", ""] where !name.isEmpty {
                let config = try config("{\"credsStore\":\"\(name)\"}", folder, timeout: .milliseconds(name == "hangs" ? 200 : 20_000))
                let error = await #expect(throws: RegistryError.self) { try await config.login(at: "a.example.com") }
                #expect(error?.code == .invalidCredentials && error?.message.contains("docker-credential-\(name)") == true, "\(name)")
                #expect(error?.description.contains("s3cret") == false)
                #expect(name != "hangs" || error?.message.contains("gave no answer") == true, "\(error?.message ?? "")")
            }
        }
    }
}
