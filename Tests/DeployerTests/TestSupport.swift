import AsyncHTTPClient
import Foundation
import Logging
import Subprocess
import SystemPackage

@testable import Deployer

/// A folder that goes away with the test.
func withTemporaryFolder<R>(_ body: (FilePath) async throws -> R) async throws -> R {
    let url = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("deployer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
        at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(at: url) }
    return try await body(FilePath(url.path))
}

/// Asks until the answer is yes, at most `seconds`.
func eventually(_ seconds: Double = 60, _ question: () async throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
        if try await question() { return true }
        try await Task.sleep(for: .milliseconds(20))
    }
    return false
}

let testProbe = HTTPClientProbe(client: .shared)

/// Real HTTP/1.1 servers on loopback addresses, one process for all: each answers with its name, and after
/// `/slow/<seconds>` later; `/hold` waits for `/release`; `/echo` returns the body and headers it got,
/// `/busy` how many slow requests are under way, `/stalls` half of its answer,
/// what has `where` in it itself and the prefix that was taken away.
func withServers<R>(
    _ servers: [(name: String, address: String)], port: Int, _ body: @Sendable () async throws -> R
) async throws -> R where R: Sendable {
    let script = """
        import sys, time, threading
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        class Server(ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True
        busy, released = [], threading.Event()
        def make(name):
            class Handler(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                disable_nagle_algorithm = True
                wbufsize = -1
                def do_GET(self):
                    size = int(self.headers.get("Content-Length") or 0)
                    got = self.rfile.read(size) if size else b""
                    if self.path.startswith("/slow/"):
                        busy.append(1); time.sleep(float(self.path[6:])); busy.pop()
                    if self.path == "/hold": busy.append(1); released.wait(300); busy.pop()
                    if self.path == "/release": released.set()
                    text = name.encode()
                    if self.path == "/busy": text = str(len(busy)).encode()
                    if self.path == "/stalls":
                        self.send_response(200); self.send_header("Content-Length", "9"); self.end_headers()
                        self.wfile.write(b"some"); self.wfile.flush(); time.sleep(20); return
                    if "where" in self.path: text = f"{self.path} {self.headers.get('X-Forwarded-Prefix')}".encode()
                    if self.path == "/echo": text = str(self.headers).encode() + got
                    self.send_response(503 if self.path == "/bad" else 200)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                    self.wfile.flush()
                do_POST = do_GET
                def log_message(self, *args): pass
            return Handler
        threads = []
        for argument in sys.argv[2:]:
            name, address = argument.split("=")
            server = Server((address, int(sys.argv[1])), make(name))
            threads.append(threading.Thread(target=server.serve_forever, daemon=True))
        for thread in threads: thread.start()
        sys.stdin.read()
        """
    let arguments = ["-c", script, String(port)] + servers.map { "\($0.name)=\($0.address)" }
    let outcome = try await Subprocess.run(
        .name("python3"), arguments: Arguments(arguments), input: .inputWriter, output: .discarded, error: .discarded
    ) { execution in
        let ready = try await eventually {
            for server in servers {
                let question = ProbeQuestion(address: server.address, port: port, path: "/", timeout: .seconds(10))
                guard (try? await testProbe.get(question)) != nil else { return false }
            }
            return true
        }
        guard ready else { throw Errno.timedOut }
        let result = try await body()
        try await execution.standardInputWriter.finish()
        return result
    }
    return outcome.closureResult
}
