import Foundation
import Logging

/// One JSON document a line on standard error: time, level, message and metadata.
struct JSONLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    let label: String

    init(label: String) { self.label = label }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    private struct Record: Encodable {
        var time: String
        var level: String
        var message: String
        var metadata: [String: String]?
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let record = Record(
            time: Date.now.ISO8601Format(.init(includingFractionalSeconds: true)), level: event.level.rawValue,
            message: "\(event.message)", metadata: all.isEmpty ? nil : all.mapValues { "\($0)" })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(record) else { return }
        FileHandle.standardError.write(data + Data("\n".utf8))
    }
}
