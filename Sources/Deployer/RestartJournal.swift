import BlockingQueue
import FoundationEssentials
import Synchronization
import SystemPackage

/// When instances were last started again, kept in a small file.
final class RestartJournal: Sendable {
    private struct State {
        var times: [String: Double]?
    }

    private let file: FilePath
    private var lock: FilePath { FilePath("\(file).lock") }
    private let queue = BlockingQueue(label: "restarts", width: 1)
    private let state = Mutex(State())

    init(file: FilePath) { self.file = file }

    /// Seconds since 1970; nil when never, or before ``keep(_:)`` read the file.
    func started(_ id: String) -> Double? { state.withLock { $0.times?[id] } }

    /// What is in the file counts from now on.
    func forget() { state.withLock { $0.times = nil } }

    func record(_ id: String, at time: Double) async throws {
        try await change { $0[id] = time }
    }

    /// Reads the file the first time, and forgets instances that are not wanted any more.
    func keep(_ ids: Set<String>) async throws {
        try await change { times in times = times.filter { ids.contains($0.key) } }
    }

    private func change(_ edit: @escaping @Sendable (inout [String: Double]) -> Void) async throws {
        try await queue.run { [self] _ in
            let old = state.withLock { $0.times }
            let base = old ?? load()
            var new = base
            edit(&new)
            if new != base {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys]
                let bytes = Array(try encoder.encode(new))
                try ProcessLock.holding(lock) { try AtomicFile.write(bytes, to: file) }
            }
            state.withLock { $0.times = new }
        }
    }

    /// A file that cannot be read only means that one restart may come early.
    private func load() -> [String: Double] {
        guard let bytes = try? AtomicFile.read(file) else { return [:] }
        return (try? JSONDecoder().decode([String: Double].self, from: Data(bytes))) ?? [:]
    }
}
