public import Foundation
import FreePort
import Synchronization

/// A PostgreSQL server of the tests' own, from Debian's package: a temporary folder, a Unix socket and a loopback port, and
/// no fsync. It stops, and its folder goes, when the test process ends, however that comes about.
public final class PostgresCluster: Sendable {
    public struct Failed: Error, CustomStringConvertible {
        public let description: String
    }

    /// One for all tests that leave it running.
    public static func shared() async throws -> PostgresCluster { try await sharedStart.value }
    private static let sharedStart = Task.detached { try await PostgresCluster() }

    public static let user = "slipway"
    public static let password = "s3cr/t@word"
    private static let encodedPassword = "s3cr%2Ft%40word"

    public let folder: URL
    public let port: Int
    private let tools: URL
    private let names = Atomic<Int>(0)
    /// The server's parent, and the pipe that keeps it.
    private let running = Mutex<(process: Process, pipe: Pipe)?>(nil)

    public init() async throws {
        guard geteuid() == 0 else { throw Failed(description: "PostgreSQL is started as another user: run the tests as root") }
        tools = try Self.findTools()
        folder = URL(fileURLWithPath: "/tmp/slipway-postgres-\(UUID().uuidString.prefix(8).lowercased())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let password = folder.appendingPathComponent("password")
        try Data("\(Self.password)\n".utf8).write(to: password)
        try await Self.command("/bin/chown", ["-R", "postgres:", folder.path])
        try await Self.command(
            "/usr/sbin/runuser",
            [
                "-u", "postgres", "--", tools.appendingPathComponent("initdb").path, "-D", "\(folder.path)/data", "-U", Self.user,
                "--pwfile", password.path, "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8",
            ])
        port = try freePort()
        try await start()
    }

    /// Starts the server and waits until it answers.
    public func start() async throws {
        let log = folder.appendingPathComponent("log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let output = try FileHandle(forWritingTo: log)
        defer { try? output.close() }
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // The shell reads from a pipe that ends with this process, and then stops the server.
        let script = #"""
            control() { runuser -u postgres -- "$1/pg_ctl" -D "$2/data" "$3" -w -s -m fast -l "$2/server.log" -o "-k $2 -p $4 $5"; }
            control "$1" "$2" start "$3" "-c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off -c max_connections=300"
            read -r how
            control "$1" "$2" stop "$3" </dev/null
            [ "$how" = keep ] || rm -rf "$2"
            """#
        process.arguments = ["-c", script, "sh", tools.path, folder.path, "\(port)"]
        process.standardInput = pipe
        process.standardOutput = output
        process.standardError = output
        try process.run()
        running.withLock { $0 = (process, pipe) }
        try? pipe.fileHandleForReading.close()
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do {
                try await Self.command(tools.appendingPathComponent("psql").path, arguments("postgres", "SELECT 1"))
                return
            } catch  where ContinuousClock.now < deadline && process.isRunning {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Stops the server as an administrator does who does not wait for clients (a fast shutdown); the data stays.
    public func stop() async throws {
        guard
            let (process, pipe) = running.withLock({ running in
                defer { running = nil }; return running
            })
        else { return }
        try pipe.fileHandleForWriting.write(contentsOf: Data("keep\n".utf8))
        try? pipe.fileHandleForWriting.close()
        let deadline = ContinuousClock.now + .seconds(30)
        while process.isRunning {
            guard ContinuousClock.now < deadline else { throw Failed(description: "PostgreSQL does not stop") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Stops the server and removes its folder.
    public func remove() async throws {
        try await stop()
        try FileManager.default.removeItem(at: folder)
    }

    /// A new empty database; returns its URL.
    public func newDatabase() async throws -> String {
        let name = "test\(names.add(1, ordering: .relaxed).newValue)"
        try await run("CREATE DATABASE \(name)", in: "postgres")
        return url(name)
    }

    /// Over loopback, with a password that must be encoded.
    public func url(_ database: String) -> String {
        "postgres://\(Self.user):\(Self.encodedPassword)@127.0.0.1:\(port)/\(database)"
    }

    @discardableResult
    public func run(_ sql: String, in database: String) async throws -> String {
        try await Self.command(tools.appendingPathComponent("psql").path, arguments(database, sql))
    }

    private func arguments(_ database: String, _ sql: String) -> [String] {
        ["-h", folder.path, "-p", "\(port)", "-U", Self.user, "-d", database, "-v", "ON_ERROR_STOP=1", "-qAtc", sql]
    }

    private static func findTools() throws -> URL {
        let root = URL(fileURLWithPath: "/usr/lib/postgresql")
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        guard let version = versions.compactMap(Int.init).max() else {
            throw Failed(description: "PostgreSQL is missing: apt-get install postgresql")
        }
        return root.appendingPathComponent("\(version)/bin")
    }

    @discardableResult
    private static func command(_ program: String, _ arguments: [String]) async throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let output = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: Failed(description: "\(program): \(error)")) }
        }
        process.terminationHandler = nil
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        try? output.fileHandleForReading.close()
        guard status == 0 else { throw Failed(description: "\(program) \(arguments.last ?? ""): \(text)") }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

}
