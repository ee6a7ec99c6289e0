public import ContainerRuntime
import Deployer
import Foundation
public import StateStore

/// A step's log with the project's secrets blotted out.
public struct MaskedLog: Sendable {
    /// Seconds after which the run's logs were removed; nil when they are there.
    public let removedAfter: Double?
    private let reader: LogReader
    private let masks: [String]

    init(reader: LogReader, removedAfter: Double?, secrets: [String]) {
        self.reader = reader
        self.removedAfter = removedAfter
        // Longest first, so that a secret which contains another is covered whole.
        masks = Set(secrets.flatMap(Self.forms)).sorted { ($0.count, $0) > ($1.count, $1) }
    }

    /// The lines after `offset`, see `LogReader`.
    public func lines(from offset: Int64, limit: Int) async throws -> [LogLine] {
        try await reader.lines(from: offset, limit: limit).map(masked)
    }

    public func tail(_ count: Int) async throws -> [LogLine] { try await reader.tail(count).map(masked) }

    private func masked(_ line: LogLine) -> LogLine {
        var line = line
        for mask in masks where line.text.contains(mask) { line.text = line.text.replacing(mask, with: "***") }
        return line
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
        let secrets = try await untilAnswered { try await parts.store.secrets(project: run.project) }.map { name, sealed in
            try parts.secrets.open(sealed, context: "\(run.project)/\(name)")
        }
        return MaskedLog(
            reader: LogReader(file: stepLog(run: run.id, step: step)), removedAfter: logs(of: run.id).removedAfter, secrets: secrets)
    }
}
