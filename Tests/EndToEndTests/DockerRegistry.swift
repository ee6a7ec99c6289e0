import Foundation
import FreePort
import Testing

/// Debian's docker-registry on a free loopback port, with its storage in a folder.
final class DockerRegistry {
    let port: Int
    private let folder: URL
    private var process: Process?

    /// Where uploads are kept until they are whole, and blobs afterwards.
    var storage: URL { folder.appendingPathComponent("data/docker/registry/v2") }
    var host: String { "127.0.0.1:\(port)" }

    init(_ folder: URL) throws {
        self.folder = folder
        port = try freePort()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { process?.terminate() }

    func start() async throws {
        let program = "/usr/bin/docker-registry"
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw Failed("\(program) is missing: apt-get install docker-registry")
        }
        let configuration = folder.appendingPathComponent("config.yml")
        try """
        version: 0.1
        log: {level: error}
        storage: {filesystem: {rootdirectory: \(folder.path)/data}}
        http: {addr: "\(host)"}
        """.write(to: configuration, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["serve", configuration.path]
        process.standardInput = FileHandle.nullDevice
        let log = folder.appendingPathComponent("requests")
        try Data().write(to: log)
        let requests = try FileHandle(forWritingTo: log)
        defer { try? requests.close() }
        process.standardOutput = requests
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        try await until("docker-registry answers") { try await http("GET", "http://\(host)/v2/").status == 200 }
    }

    /// Freezes it: connections stay, nothing is answered.
    func freeze() { if let process { kill(process.processIdentifier, SIGSTOP) } }
    func thaw() { if let process { kill(process.processIdentifier, SIGCONT) } }

    /// Method and path of every request it has answered so far. It logs a request after its answer: this waits for the line of a
    /// request of its own, and until the log has not grown for a while.
    func requests() async throws -> [String] {
        let marker = "/v2/?\(UUID().uuidString)"
        #expect(try await http("GET", "http://\(host)\(marker)").status == 200)
        try await until("the request is in the log") { text(folder, "requests").contains(marker) }
        var seen = text(folder, "requests")
        var quiet = 0
        while quiet < 5 {
            try await Task.sleep(for: .milliseconds(50))
            let now = text(folder, "requests")
            quiet = now == seen ? quiet + 1 : 0
            seen = now
        }
        return seen.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "\"")
            return parts.count > 1 ? parts[1].split(separator: " ").prefix(2).joined(separator: " ") : nil
        }.filter { !$0.hasPrefix("GET /v2/?") }
    }

    /// The digest a tag names, nil when there is no such tag.
    func digest(_ repository: String, _ tag: String) async throws -> String? {
        let answer = try await command(
            "/usr/bin/curl",
            [
                "-sS", "--head", "--max-time", "20", "-H", "Accept: application/vnd.oci.image.manifest.v1+json",
                "http://\(host)/v2/\(repository)/manifests/\(tag)",
            ])
        return answer.output.split(whereSeparator: \.isNewline)
            .first { $0.lowercased().hasPrefix("docker-content-digest:") }
            .map { $0.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces) }
    }

    /// Bytes of uploads that are not whole yet.
    var uploading: Int {
        let files = FileManager.default.enumerator(
            at: storage.appendingPathComponent("repositories"), includingPropertiesForKeys: [.fileSizeKey])
        var sum = 0
        while let file = files?.nextObject() as? URL {
            guard file.path.contains("/_uploads/"), file.lastPathComponent == "data" else { continue }
            sum += (try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
        }
        return sum
    }
}
