import Foundation
import RegistryClient
import SystemPackage
import Testing

struct CredentialTests {
    @Test func readsDockerConfig() throws {
        let auth = Data("user:pass:word".utf8).base64EncodedString()
        let text = """
            {"auths":{"registry.example.com:5000":{"auth":"\(auth)"},"https://index.docker.io/v1/":{"username":"u","password":"p"},
             "tokens.example.com":{"registrytoken":"t"},"empty.example.com":{}},"credsStore":"ignored"}
            """
        let config = try DockerConfig(parsing: Array(text.utf8))
        #expect(config.credentials(for: "registry.example.com:5000") == .basic(user: "user", password: "pass:word"))
        #expect(config.credentials(for: "docker.io") == .basic(user: "u", password: "p"))
        #expect(config.credentials(for: "tokens.example.com") == .bearer("t"))
        #expect(config.credentials(for: "empty.example.com") == nil)
        #expect(config.credentials(for: "registry.example.com") == nil)
        #expect("\(RegistryCredentials.basic(user: "u", password: "hidden"))".contains("hidden") == false)
        #expect(try DockerConfig(file: "/nonexistent/config.json").credentials(for: "docker.io") == nil)
    }

    @Test(arguments: ["", "[]", #"{"auths":{"h":{"auth":"%%%"}}}"#, #"{"auths":{"h":{"auth":"bm9jb2xvbg=="}}}"#])
    func refusesDamagedFiles(_ text: String) {
        let error = #expect(throws: RegistryError.self) { try DockerConfig(parsing: Array(text.utf8)) }
        #expect(error?.code == .invalidCredentials)
    }
}
