import Foundation
import FreePort
import RegistryClient
import Testing

struct MissingPart: Error, CustomStringConvertible {
    let description: String
}

private func process(_ command: String, _ arguments: [String], package: String, output: FileHandle) throws -> Process {
    let path = "/usr/bin/\(command)"
    guard FileManager.default.isExecutableFile(atPath: path) else {
        throw MissingPart(description: "\(path) is missing: apt-get install \(package)")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    return process
}

/// Runs a program to its end and returns what it printed; anything but exit code 0 throws.
@discardableResult
func run(_ command: String, _ arguments: [String], package: String) async throws -> String {
    try await withFolder { folder in
        let file = folder.appendingPathComponent("output")
        try Data().write(to: file)
        let process = try process(command, arguments, package: package, output: try FileHandle(forWritingTo: file))
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        let output = String(decoding: try Data(contentsOf: file), as: UTF8.self)
        guard status == 0 else { throw MissingPart(description: "\(command) \(arguments) failed: \(output)") }
        return output
    }
}

/// Whether somebody listens there.
private func accepts(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
    }
}

/// Debian's docker-registry on a loopback port while `body` runs. `auth` is the `auth:` section of its
/// configuration, `tls` the `tls:` of its `http`.
func withDockerRegistry<T>(auth: String = "", tls: String = "", _ body: (Int) async throws -> T) async throws -> T {
    try await withFolder { folder in
        let port = try freePort()
        let configuration = folder.appendingPathComponent("config.yml")
        try """
        version: 0.1
        log: {level: error, accesslog: {disabled: true}}
        storage: {filesystem: {rootdirectory: \(folder.path)/data}, delete: {enabled: true}}
        http: {addr: "127.0.0.1:\(port)"\(tls.isEmpty ? "" : ", \(tls)")}
        \(auth)
        """.write(to: configuration, atomically: true, encoding: .utf8)
        let process = try process(
            "docker-registry", ["serve", configuration.path], package: "docker-registry", output: .nullDevice)
        try process.run()
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            if accepts(port) { break }
            try #require(ContinuousClock.now < deadline && process.isRunning, "docker-registry did not start")
            try await Task.sleep(for: .milliseconds(20))
        }
        return try await body(port)
    }
}
