public import ContainerRuntime
import Deployer
import Foundation
public import StateStore
import SystemPackage

/// A step's or job's log with the project's secrets blotted out.
public struct MaskedLog: Sendable {
    /// Seconds after which the run's logs were removed; nil when they are there.
    public let removedAfter: Double?
    /// Where the log is now; the end of a step moves it.
    private let place: @Sendable () -> FilePath
    private let masks: [String]

    init(place: @escaping @Sendable () -> FilePath, removedAfter: Double?, secrets: [String]) {
        self.place = place
        self.removedAfter = removedAfter
        // Longest first, so that a secret which contains another is covered whole.
        masks = Set(secrets.flatMap(Self.forms)).sorted { ($0.count, $0) > ($1.count, $1) }
    }

    /// The lines after `offset`, see `LogReader`.
    public func lines(from offset: Int64, limit: Int) async throws -> [LogLine] {
        try await read { try await $0.lines(from: offset, limit: limit) }
    }

    public func tail(_ count: Int) async throws -> [LogLine] { try await read { try await $0.tail(count) } }

    private func read(_ body: (LogReader) async throws -> [LogLine]) async throws -> [LogLine] {
        var file = place()
        while true {
            let lines = try await body(LogReader(file: file))
            let now = place()
            // It went between the question where it is and the first look at it.
            if lines.isEmpty, now != file { file = now } else { return lines.map(masked) }
        }
    }

    private func masked(_ line: LogLine) -> LogLine {
        var line = line
        line.text = masked(line.text)
        return line
    }

    /// Any other text, in the same way.
    func masked(_ text: String) -> String {
        var text = text
        for mask in masks where text.contains(mask) { text = text.replacing(mask, with: "***") }
        return text
    }

    /// The forms in which a secret is likely to be printed: raw (line by line), base64, URL and JSON. What is shorter
    /// than four characters would blot out half the log and is left.
    static func forms(of secret: String) -> [String] {
        var forms = secret.split(separator: "\n").map(String.init)
        forms.append(Data(secret.utf8).base64EncodedString())
        if let url = secret.addingPercentEncoding(withAllowedCharacters: .alphanumerics) { forms.append(url) }
        if let url = secret.addingPercentEncoding(withAllowedCharacters: .urlQueryAllowed) { forms.append(url) }
        if let json = try? JSONEncoder().encode(secret) {
            forms.append(String(String(decoding: json, as: UTF8.self).dropFirst().dropLast()))
        }
        return forms.filter { $0.count >= 4 }
    }
}

extension PipelineEngine {
    /// A step's log as people may see it, wherever it is now.
    public func maskedLog(run: Run, step: String) async throws -> MaskedLog {
        MaskedLog(
            place: { stepLog(run: run.id, step: step) }, removedAfter: logs(of: run.id).removedAfter,
            secrets: try await secretTexts(of: run.project))
    }

    /// A job's log as people may see it.
    public func log(ofJob job: Job) async throws -> MaskedLog {
        let file = jobLog(job.id)
        return MaskedLog(place: { file }, removedAfter: removal(ofLogOf: job), secrets: try await secretTexts(of: job.project))
    }

    /// Texts as people may see them.
    func masked(_ texts: [String], project: String) async throws -> [String] {
        let mask = MaskedLog(place: { "" }, removedAfter: nil, secrets: try await secretTexts(of: project))
        return texts.map(mask.masked)
    }

    private func secretTexts(of project: String) async throws -> [String] {
        try await untilAnswered { try await parts.store.secrets(project: project) }.map { name, sealed in
            try parts.secrets.open(sealed, context: "\(project)/\(name)")
        }
    }
}
