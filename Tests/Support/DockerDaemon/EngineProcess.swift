import Foundation

/// A container engine that answers on a socket. Its output is appended to `log` in its folder.
final class EngineProcess: @unchecked Sendable {
    // Started and stopped by one test, in order.
    private let folder: URL
    private let socket: String
    private var process: Process?

    init(_ folder: URL, socket: String) {
        self.folder = folder
        self.socket = socket
    }

    /// Returns when it answers.
    ///
    /// - Parameter package: Debian's, for people who lack it.
    func start(_ program: String, package: String, _ arguments: [String], environment: [String: String] = [:]) async throws {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw DockerDaemon.Problem(description: "\(program) is missing: apt-get install \(package)")
        }
        let log = folder.appendingPathComponent("log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        defer { try? output.close() }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        // Where Podman's conmon notes that a container had no memory left.
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        self.process = process
        for _ in 0..<2400 {
            guard process.isRunning else { break }
            if (try? await DockerDaemon.ask(socket, "GET", "/_ping")) != nil { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw DockerDaemon.Problem(
            description: "\(program) does not start: \((try? String(contentsOf: log, encoding: .utf8))?.suffix(2000) ?? "")")
    }

    /// SIGTERM.
    func stop() async throws {
        guard let process else { return }
        kill(process.processIdentifier, SIGTERM)
        for _ in 0..<600 where process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        for _ in 0..<200 where process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
        self.process = nil
    }

    /// Removes its containers, ends it, and removes its bridge and its folder.
    func remove(bridge: String) async {
        await removeContainers()
        try? await stop()
        _ = try? await DockerDaemon.run("/sbin/ip", ["link", "delete", bridge])
        unmount()
        try? FileManager.default.removeItem(at: folder)
    }

    private func removeContainers() async {
        struct Name: Decodable { var Id: String }
        guard let list = try? await DockerDaemon.ask(socket, "GET", "/containers/json?all=1"),
            let names = try? JSONDecoder().decode([Name].self, from: Data(list.utf8))
        else { return }
        for name in names { _ = try? await DockerDaemon.ask(socket, "DELETE", "/containers/\(name.Id)?force=1&v=1") }
    }

    /// What is mounted below the folder.
    private func unmount() {
        let mounts = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
        for mount in mounts.split(separator: "\n").compactMap({ $0.split(separator: " ").dropFirst(4).first.map(String.init) })
            .filter({ $0.hasPrefix("\(folder.path)/") }).sorted(by: >)
        { umount2(mount, Int32(MNT_DETACH)) }
    }
}
