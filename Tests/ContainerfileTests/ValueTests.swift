import OCIModel
import Testing

@testable import Containerfile

@Suite struct ValueTests {
    @Test(
        arguments: [
            ("0644", 0o4755, false, 0o644), ("755", 0, true, 0o755), ("u=rwX,go=rX", 0o640, false, 0o644),
            ("u=rwX,go=rX", 0o750, false, 0o755), ("u=rwX,go=rX", 0o600, true, 0o755), ("+x", 0o644, false, 0o755), ("a-w", 0o666, false, 0o444),
            ("g=u", 0o740, false, 0o770), ("u+s,g+s,+t", 0o755, false, 0o7755), ("u-s", 0o4755, false, 0o755), ("=", 0o755, false, 0),
            ("o=", 0o777, false, 0o770), ("u=rw,g=r", 0o777, false, 0o647), ("ug+x-w", 0o666, false, 0o556), ("go-rwx", 0o755, true, 0o700),
        ] as [(String, UInt32, Bool, UInt32)])
    func changesModes(_ text: String, _ mode: UInt32, _ isDirectory: Bool, _ expected: UInt32) throws {
        #expect(try ModeChange(parsing: text).applied(to: mode, isDirectory: isDirectory) == expected)
    }

    @Test(arguments: ["", "8", "10000", "u", "u+q", "x", "u=rwx,", "0x1", "-1"])
    func refusesModes(_ text: String) { #expect(throws: InvalidValue.self) { try ModeChange(parsing: text) } }

    @Test func readsOwners() throws {
        #expect(try Ownership(parsing: "1000").user == .id(1000))
        #expect(try Ownership(parsing: "1000").group == nil)
        #expect(try Ownership(parsing: "app:0").user == .name("app"))
        #expect(try Ownership(parsing: "app:0").group == .id(0))
        for text in ["", ":", "a:", ":b", "a b", "4294967296", "4294967295", "../x"] {
            #expect(throws: InvalidValue.self) { try Ownership(parsing: text) }
        }
    }

    @Test func readsPorts() throws {
        #expect(try ExposedPort.ports(parsing: "80") == ["80/tcp"])
        #expect(try ExposedPort.ports(parsing: "53-54/UDP") == ["53/udp", "54/udp"])
        for text in ["", "x", "80/x", "2-1", "65536", "1:2", "-1", "1-", "+1"] {
            #expect(throws: InvalidValue.self) { try ExposedPort.ports(parsing: text) }
        }
    }

    @Test func readsSignals() throws {
        for text in ["9", "SIGTERM", "term", "SIGRTMIN+3", "RTMAX-1"] { #expect(try StopSignal(parsing: text).text == text) }
        for text in ["", "0", "65", "SIGX", "RTMIN+16", "-9"] {
            #expect(throws: InvalidValue.self) { try StopSignal(parsing: text) }
        }
    }

    @Test func readsPlatforms() throws {
        #expect(try PlatformText.parse("linux/ARM64/v8").description == "linux/arm64")
        #expect(try PlatformText.parse("x86_64").description == "linux/amd64")
        #expect(try PlatformText.parse("linux/arm").description == "linux/arm/v7")
        #expect(try PlatformText.parse("windows/amd64").description == "windows/amd64")
        for text in ["", "linux", "a/b/c/d", "linux/", "linux/a b"] {
            #expect(throws: InvalidValue.self) { try PlatformText.parse(text) }
        }
    }

    @Test func readsDurations() {
        #expect(DurationText.parse("1h2m3.5s") == .milliseconds(3_723_500))
        #expect(DurationText.parse("300ms") == .milliseconds(300))
        #expect(DurationText.parse("1.5h") == .seconds(5400))
        #expect(DurationText.parse("0") == .zero)
        #expect(DurationText.parse("10µs") == .microseconds(10))
        for text in ["", "1", "-1s", "s", "1x", ".s", "1s ", "9999999999h", "٣s"] { #expect(DurationText.parse(text) == nil) }
    }

    @Test func tellsAddSourcesApart() throws {
        #expect(try AddOrigin(parsing: "dir/file") == .local("dir/file"))
        #expect(try AddOrigin(parsing: "github.com/a/b") == .local("github.com/a/b"))
        #expect(try AddOrigin(parsing: "https://h/a/b%20c.tgz?x#y") == .http(url: "https://h/a/b%20c.tgz?x#y", fileName: "b c.tgz"))
        #expect(try AddOrigin(parsing: "https://h/") == .http(url: "https://h/", fileName: nil))
        #expect(try AddOrigin(parsing: "https://h/%2e%2e") == .http(url: "https://h/%2e%2e", fileName: nil))
        #expect(try AddOrigin(parsing: "https://h/x%2f..%2fy") == .http(url: "https://h/x%2f..%2fy", fileName: "y"))
        func git(_ text: String) throws -> GitOrigin? {
            guard case .git(let origin) = try AddOrigin(parsing: text) else { return nil }
            return origin
        }
        let full = try git("https://h/a.git?checksum=abc&submodules=false&keep-git-dir#v1:docs/./x")
        #expect(full?.remote == "https://h/a.git")
        #expect(full?.reference == "v1")
        #expect(full?.folder == "docs/x")
        #expect(full?.checksum == "abc")
        #expect(full?.includesSubmodules == false)
        #expect(full?.keepsGitDirectory == true)
        #expect(try git("git@h:a/b.git#:sub")?.folder == "sub")
        #expect(try git("git@h:a/b")?.remote == "git@h:a/b")
        #expect(try git("ssh://git@h/a?tag=1")?.reference == "refs/tags/1")
        for text in [
            "ftp://h/a", "git://h/a?fetch-by-commit=1", "git://h/a?ref=x#y", "git://h/a?ref", "git://h/a#-x", "git://h/a#v:../../x",
            "git://h/a?ref=a&ref=b",
        ] {
            #expect(throws: InvalidValue.self) { try AddOrigin(parsing: text) }
        }
    }
}
