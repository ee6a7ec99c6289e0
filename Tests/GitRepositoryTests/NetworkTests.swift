import Foundation
import FreePort
import GitRepository
import SystemPackage
import Testing

@Suite(.serialized) struct NetworkTests {
    @Test func fetchesFromAGitDaemon() async throws {
        let box = try Sandbox(commits: ["one", "two"])
        let port = try freePort()
        let daemon = try start(
            box, box.git("--exec-path") + "/git-daemon",
            ["--listen=127.0.0.1", "--port=\(port)", "--base-path=\(box.root)", "--export-all", "--reuseaddr"])
        defer { stop(daemon) }
        try await eventually("git daemon listens") { connects(port) }
        #expect(try await box.mirror.fetch(from: "git://127.0.0.1:\(port)/source") == ["refs/heads/main": box.head()])
        let new = try box.commit(["b": "b"])
        #expect(try await box.mirror.fetch(from: "git://127.0.0.1:\(port)/source") == ["refs/heads/main": new])
        let error = try await box.failure { _ = try await box.mirror.fetch(from: "git://127.0.0.1:\(port)/other") }
        #expect([.notFound, .unreachable].contains(error.code) && error.message.contains("/other"), "\(error)")
    }

    @Test func namesAServerThatIsNotThere() async throws {
        let box = try Sandbox()
        // Nobody listens, and nobody else gets the port.
        let (bound, port) = try boundSocket()
        defer { close(bound) }
        for scheme in ["git", "http"] {
            let error = try await box.failure { _ = try await box.mirror.fetch(from: "\(scheme)://user:secret@127.0.0.1:\(port)/x") }
            #expect(error.code == .unreachable && !"\(error)".contains("secret") && error.message.contains("127.0.0.1"), "\(error)")
            #expect(!error.hint.isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["git", "http", "https"]) func givesUpOnASilentServer(_ scheme: String) async throws {
        let box = try Sandbox()
        let (listener, port) = try boundSocket()
        defer { close(listener) }
        // The kernel completes connections; nobody ever answers them.
        #expect(listen(listener, 8) == 0)
        let url = "\(scheme)://127.0.0.1:\(port)/x"
        let impatient = GitMirror(path: box.mirror.path, queue: box.queue, stallLimit: .milliseconds(100))
        let error = try await box.failure { _ = try await impatient.fetch(from: url) }
        #expect(error.code == .unreachable && error.message.contains("did not answer"), "\(error)")
        close(accept(listener, nil, nil))
        let task = Task { try await box.mirror.fetch(from: url) }
        try await eventually("the fetch has connected") {
            var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 1
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test(.timeLimit(.minutes(1))) func provesWhoItIsOverHTTP() async throws {
        let box = try Sandbox()
        let port = try freePort()
        let script = box.root.appending("server.py").string
        try Data(httpServer.utf8).write(to: URL(fileURLWithPath: script))
        let server = try start(box, "/usr/bin/python3", [script, String(port), box.root.string])
        defer { stop(server) }
        try await eventually("the http server listens") { connects(port) }
        let url = "http://127.0.0.1:\(port)/source/.git"
        let mirror = box.mirror

        let none = try await box.failure { _ = try await mirror.fetch(from: url) }
        #expect(none.code == .authenticationRequired && none.hint.contains("token"), "\(none)")
        let wrong = try await box.failure { _ = try await mirror.fetch(from: url, credentials: .userPassword(user: "ci", password: "wr0ng")) }
        #expect(wrong.code == .authenticationFailed && !"\(wrong)".contains("wr0ng"), "\(wrong)")
        let key = try await box.failure { _ = try await mirror.fetch(from: url, credentials: .sshKey(path: "/nowhere")) }
        #expect(key.code == .authenticationFailed, "\(key)")
        let embedded = try await box.failure { _ = try await mirror.fetch(from: "http://ci:wr0ng@127.0.0.1:\(port)/source/.git") }
        #expect(embedded.code == .authenticationRequired && !"\(embedded)".contains("wr0ng"), "\(embedded)")

        let expected = ["refs/heads/main": try box.head()]
        #expect(try await mirror.fetch(from: url, credentials: .userPassword(user: "ci", password: "s3cret")) == expected)
        #expect(try await mirror.fetch(from: url, credentials: .token("s3cret")) == expected)
        #expect(try await mirror.fetch(from: "http://ci:s3cret@127.0.0.1:\(port)/source/.git") == expected)
        let config = try String(contentsOfFile: mirror.path.appending("config").string, encoding: .utf8)
        #expect(!config.contains("s3cret") && !config.contains("127.0.0.1"))

        let missing = try await box.failure { _ = try await mirror.fetch(from: "http://127.0.0.1:\(port)/other", credentials: .token("s3cret")) }
        #expect(missing.message.contains("/other"), "\(missing)")
    }
}

/// git's own smart HTTP server behind the password `s3cret`.
private let httpServer = """
    import base64, http.server, os, subprocess, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *rest): pass
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind, _, text = (self.headers.get("Authorization") or "").partition(" ")
            if not base64.b64decode(text or "").endswith(b":s3cret"):
                self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
                return
            path, _, query = self.path.partition("?")
            out = subprocess.run(["git", "http-backend"], input=body, stdout=subprocess.PIPE, env={
                "PATH": os.environ["PATH"], "HOME": sys.argv[2], "GIT_PROJECT_ROOT": sys.argv[2], "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type") or "", "CONTENT_LENGTH": str(len(body))}).stdout
            head, _, body = out.partition(b"\\r\\n\\r\\n")
            fields = [tuple(line.split(": ", 1)) for line in head.decode().split("\\r\\n") if line]
            status = int(dict(fields).get("Status", "200").split()[0])
            self.answer(status, [f for f in fields if f[0] != "Status"], body)
        do_POST = do_GET
        def answer(self, status, fields, body):
            self.send_response(status)
            for name, value in fields: self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """

private func start(_ box: Sandbox, _ path: String, _ arguments: [String]) throws -> Process {
    let process = box.command(path, arguments)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
}

private func stop(_ process: Process) {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
}

private func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
}

private func boundSocket() throws -> (socket: Int32, port: UInt16) {
    let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0 }
    }
    try #require(bound)
    return (socket, UInt16(bigEndian: address.sin_port))
}

private func connects(_ port: Int) -> Bool {
    let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = loopback(in_port_t(port))
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
    }
}
