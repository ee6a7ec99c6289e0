import GitRepository
import Testing

@Suite struct GitURLTests {
    @Test(arguments: [
        "/", "file:///srv/x.git", "git://host/x", "https://host/x.git", "http://u:p@host:8080/x", "ssh://git@host:22/x", "git@host:team/x.git",
    ])
    func accepts(_ text: String) throws { _ = try GitURL(parsing: text) }

    @Test(arguments: ["", "nothing", "ftp://host/x", "https", "-oProxyCommand=x", "https://host/\n", ":x", "a/b:c"])
    func refuses(_ text: String) {
        #expect(throws: GitError.self) { try GitURL(parsing: text) }
    }

    @Test(arguments: [
        ("https://user:secret@host/x", "https://***@host/x"), ("https://secret@host/x", "https://***@host/x"),
        ("https://host/x", "https://host/x"), ("https://host/@scope/x", "https://host/@scope/x"), ("https://host:8080/x@1", "https://host:8080/x@1"),
        ("https://u:p@ss@host/x", "https://***@host/x"), ("https://u:se/cret@host/x", "https://***@host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"), ("ssh://git:secret@host/x", "ssh://***@host/x"), ("git@host:x", "git@host:x"),
        ("cannot open 'https://u:secret@host/x': and http://a:secret@b/ too", "cannot open 'https://***@host/x': and http://***@b/ too"), ("", ""),
    ])
    func redacts(_ text: String, _ expected: String) { #expect(GitURL.redacted(text) == expected) }

    @Test func credentialsDoNotShowThemselves() {
        for credentials in [GitCredentials.token("secret"), .userPassword(user: "u", password: "secret"), .sshKey(path: "/k", passphrase: "secret")] {
            #expect(!"\(credentials)".contains("secret") && !String(reflecting: credentials).contains("secret"))
        }
    }
}
