import BlockingQueue
import ContainerRuntime
import Foundation
import SystemPackage

/// The logs of one run's steps that are over. All calls block.
struct RunLogs {
    /// What is to be done with a run's logs once the run is over.
    enum Care: Equatable {
        case compress
        /// They may be old enough to go.
        case remove
    }

    /// What compresses too little to be worth a second file: a block of the disk.
    static let smallest: Int64 = 4096

    /// `runs/<id>`.
    let folder: FilePath

    private var logs: FilePath { folder.appending("logs") }
    /// Written before logs are removed for their age; says after how many seconds.
    private var removal: FilePath { folder.appending("logs-removed") }

    func log(_ step: String) -> LogFile { LogFile(logs.appending(step + LogFile.suffix)) }

    /// Seconds after which the logs were removed; nil when they were not.
    var removedAfter: Double? {
        guard let text = try? String(contentsOfFile: removal.string, encoding: .utf8) else { return nil }
        return Double(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    }

    /// What to do, as far as the files tell; nil: nothing.
    ///
    /// - Parameter limit: the moment before which a run must have ended for its logs to go, in seconds since 1970.
    func care(removingBefore limit: Double?) throws -> Care? {
        guard FileSystem.exists(logs) else { return nil }
        // The folder is as old as the last file that came or went: after the end of the run at the latest.
        if let limit, FileSystem.exists(removal) || FileSystem.modified(logs).map({ $0 < limit }) ?? false { return .remove }
        return try compressible().isEmpty ? nil : .compress
    }

    func compress(_ cancellation: Cancellation) throws {
        for log in try compressible() {
            try log.compress { if cancellation.isCancelled { throw CancellationError() } }
        }
    }

    /// Removes all logs. Cut off, it is done again by the next call.
    func remove(after seconds: Double) throws {
        if !FileSystem.exists(removal) { try FileSystem.replace(removal, with: Data("\(seconds)\n".utf8)) }
        try FileSystem.remove(logs)
    }

    private func compressible() throws -> [LogFile] {
        try FileSystem.names(in: logs).filter { $0.hasSuffix(LogFile.suffix) }.sorted().compactMap { name in
            let path = logs.appending(name)
            let log = LogFile(path)
            let size = (try? FileManager.default.attributesOfItem(atPath: path.string)[.size] as? NSNumber)?.int64Value ?? 0
            return size > Self.smallest || FileSystem.exists(log.compressed) ? log : nil
        }
    }
}
