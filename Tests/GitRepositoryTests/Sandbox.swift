import BlockingQueue
import Foundation
import GitRepository
import SystemPackage
import Testing

/// A temporary folder with a working repository made by the git command line, and a mirror of it. Removed by `deinit`.
final class Sandbox: Sendable {
    let root: FilePath
    let queue = BlockingQueue(label: "git-tests", width: 4)

    var source: FilePath { root.appending("source") }
    var mirror: GitMirror { GitMirror(path: root.appending("mirror.git"), queue: queue) }

    /// - Parameter commits: file contents of `a.txt`, one commit each, on `main`.
    init(commits: [String] = ["one"]) throws {
        root = FilePath(NSTemporaryDirectory()).appending("git-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: source.string, withIntermediateDirectories: true)
        try git("init", "-q", "-b", "main")
        for text in commits { try commit(["a.txt": text]) }
    }

    deinit { try? FileManager.default.removeItem(atPath: root.string) }

    @discardableResult
    func git(_ arguments: String..., input: String? = nil) throws -> String {
        try git(arguments, input: input.map { Data($0.utf8) })
    }

    @discardableResult
    func git(_ arguments: [String], input: Data? = nil) throws -> String {
        let process = command("/usr/bin/git", ["-C", source.string] + arguments)
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        if let input {
            let file = root.appending("input-\(UUID().uuidString)").string
            try input.write(to: URL(fileURLWithPath: file))
            process.standardInput = FileHandle(forReadingAtPath: file)
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let problem = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "git \(arguments): \(problem)")
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A process that sees no configuration of this machine.
    func command(_ path: String, _ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = [
            "PATH": "/usr/bin:/bin", "HOME": root.string, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Bob", "GIT_COMMITTER_EMAIL": "bob@example.org", "GIT_AUTHOR_DATE": "1700000000 +0100",
            "GIT_COMMITTER_DATE": "1700000100 +0000",
        ]
        return process
    }

    func write(_ name: String, _ text: String) throws {
        let path = source.appending(name)
        try FileManager.default.createDirectory(atPath: path.removingLastComponent().string, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path.string))
    }

    @discardableResult
    func commit(_ files: [String: String], message: String = "change") throws -> CommitID {
        for (name, text) in files { try write(name, text) }
        try git("add", "-A")
        try git("commit", "-q", "-m", message)
        return try head()
    }

    func head(_ revision: String = "HEAD") throws -> CommitID { try CommitID(parsing: git("rev-parse", revision)) }

    /// A commit on the branch `evil` whose tree is the lines of `git mktree`; a `%` stands for the id of a blob with `content`.
    func commitTree(_ lines: String, content: String = "content") throws -> CommitID {
        let blob = try git(["hash-object", "-w", "--stdin"], input: Data(content.utf8))
        let tree = try git("mktree", "--missing", input: lines.replacingOccurrences(of: "%", with: blob) + "\n")
        let id = try git("commit-tree", tree, "-m", "evil")
        try git("update-ref", "refs/heads/evil", id)
        return try CommitID(parsing: id)
    }

    func fetch() async throws -> [String: CommitID] { try await mirror.fetch(from: source.string) }

    /// The error of a fetch or export that must fail.
    func failure(_ body: () async throws -> Void) async throws -> GitError {
        do { try await body() } catch let error as GitError { return error }
        throw Unexpected("the call succeeded")
    }
}

struct Unexpected: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Waits for a condition; the deadline is generous, the pause short.
func eventually(_ what: String, within seconds: Double = 60, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw Unexpected("timed out: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
