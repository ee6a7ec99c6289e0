import Logging
import StateStore
import Synchronization
import Testing

@testable import PipelineEngine

/// Keeps what is logged.
private final class Journal: Sendable {
    private let kept = Mutex<[String]>([])
    var lines: [String] { kept.withLock { $0 } }

    struct Handler: LogHandler {
        let journal: Journal
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { journal.kept.withLock { $0.append("\(event.level) \(event.message)") } }
    }

    var logger: Logger { Logger(label: "test") { _ in Handler(journal: self) } }
}

@Suite struct StoreTroubleTests {
    @Test func troubleIsSaidOnceAndItsEndToo() {
        let journal = Journal()
        let trouble = StoreTrouble(logger: journal.logger)
        let error = StateError(.unavailable, "no answer", hint: "wait")
        trouble.isOver()
        for _ in 0..<3 { trouble.began(error) }
        for _ in 0..<3 { trouble.isOver() }
        trouble.began(error)
        #expect(journal.lines.count == 3)
        #expect(journal.lines.first?.contains("no answer (wait)") == true)
        #expect(journal.lines.dropFirst().first == "notice the store answers again")
    }
}
