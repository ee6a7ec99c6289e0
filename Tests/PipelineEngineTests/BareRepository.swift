import Foundation

/// A bare repository whose hooks tell nobody, and a clone that pushes to it.
struct BareRepository {
    let bare: URL
    private let clone: URL

    init(in folder: URL) throws {
        bare = folder.appendingPathComponent("origin.git")
        clone = folder.appendingPathComponent("clone")
        try git(["init", "-q", "--bare", "-b", "main", bare.path])
        try git(["init", "-q", "-b", "main", clone.path])
        try git(["-C", clone.path, "remote", "add", "origin", bare.path])
    }

    /// Commits a pipeline for branch main and pushes it; returns the commit.
    @discardableResult
    func push(_ text: String, branch: String = "main") throws -> String {
        let pipelines = clone.appendingPathComponent("pipelines")
        try FileManager.default.createDirectory(at: pipelines, withIntermediateDirectories: true)
        try Data(
            """
            when: [{event: push, branch: main}]
            steps:
              - {name: test, image: library/busybox:1, commands: ["true"]}
            # \(text)

            """.utf8
        ).write(to: pipelines.appendingPathComponent("test.yaml"))
        try git(["-C", clone.path, "add", "."])
        try git(["-C", clone.path, "commit", "-q", "-m", text])
        try git(["-C", clone.path, "push", "-q", "-f", "origin", "HEAD:refs/heads/\(branch)"])
        return try git(["-C", clone.path, "rev-parse", "HEAD"])
    }

    func move(_ branch: String, to commit: String) throws {
        try git(["-C", bare.path, "update-ref", "refs/heads/\(branch)", commit])
    }

    func remove(_ branch: String) throws { try git(["-C", bare.path, "update-ref", "-d", "refs/heads/\(branch)"]) }

    @discardableResult
    private func git(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/git")
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging([
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
        ]) { $1 }
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        struct Failed: Error { var arguments: [String] }
        guard process.terminationStatus == 0 else { throw Failed(arguments: arguments) }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
