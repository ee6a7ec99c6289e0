import Foundation
import Synchronization

/// What a program left behind.
struct Outcome {
    var status: Int32
    var output: String
    var errors: String
}

struct Failed: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A folder that is gone when `body` is over.
func withFolder<R>(_ body: (URL) async throws -> R) async throws -> R {
    let folder = URL(fileURLWithPath: "/tmp/slipway-e2e-\(UUID().uuidString.prefix(8).lowercased())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}

/// Runs a program to its end. Its streams are files, so that what it leaves behind holds nobody up.
func command(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], input: Data = Data()
) async throws -> Outcome {
    try await withFolder { folder in
        let (input, output, errors) = try streams(folder, input)
        // Closed here and now: Process cannot deal with descriptors over 1024.
        defer { for handle in [input, output, errors] { try? handle.close() } }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = input
        process.standardOutput = output
        process.standardError = errors
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: Failed("\(program): \(error)")) }
        }
        process.terminationHandler = nil
        return Outcome(status: status, output: text(folder, "output"), errors: text(folder, "errors"))
    }
}

private func streams(_ folder: URL, _ input: Data) throws -> (FileHandle, FileHandle, FileHandle) {
    for (name, data) in [("input", input), ("output", Data()), ("errors", Data())] {
        try data.write(to: folder.appendingPathComponent(name))
    }
    return (
        try FileHandle(forReadingFrom: folder.appendingPathComponent("input")),
        try FileHandle(forWritingTo: folder.appendingPathComponent("output")),
        try FileHandle(forWritingTo: folder.appendingPathComponent("errors"))
    )
}

/// Read to its end: files of /proc have no size, and what Foundation reads of those in one go ends after a page.
func text(_ folder: URL, _ name: String) -> String {
    let handle = FileHandle(forReadingAtPath: folder.appendingPathComponent(name).path)
    defer { try? handle?.close() }
    return (try? handle?.readToEnd()).map { String(decoding: $0, as: UTF8.self) } ?? ""
}

/// Asks until there is an answer, at most `seconds`.
func eventually<R>(_ what: String, seconds: Double = 20, _ question: () async throws -> R?) async throws -> R {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
        // A question that took long is not the last one.
        let isLast = ContinuousClock.now >= deadline
        if let answer = try await question() { return answer }
        guard !isLast else { throw Failed("waited \(Int(seconds)) s in vain: \(what)") }
        try await Task.sleep(for: .milliseconds(50))
    }
}

/// Asks until the answer is yes, at most `seconds`.
func until(_ what: String, seconds: Double = 20, _ question: () async throws -> Bool) async throws {
    try await eventually(what, seconds: seconds) { () async throws -> Void? in try await question() ? () : nil }
}

/// Says to those who work beside a test that it is enough.
final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}

struct Answer {
    /// 0 when nobody answered.
    var status: Int
    var body: String
    var retryAfter = ""
}

func http(
    _ method: String, _ url: String, headers: [String: String] = [:], body: Data? = nil
) async throws -> Answer {
    var arguments = ["-sS", "--max-time", "20", "-X", method, "-w", "\n%header{retry-after}\n%{http_code}"]
    for (name, value) in headers { arguments += ["-H", "\(name): \(value)"] }
    if body != nil { arguments += ["-H", "Expect:", "--data-binary", "@-"] }
    let outcome = try await command("/usr/bin/curl", arguments + [url], input: body ?? Data())
    let parts = outcome.output.split(separator: "\n", omittingEmptySubsequences: false)
    return Answer(
        status: Int(parts.last ?? "") ?? 0, body: parts.dropLast(2).joined(separator: "\n"), retryAfter: String(parts.dropLast().last ?? ""))
}
