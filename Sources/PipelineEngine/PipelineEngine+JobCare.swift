import BlockingQueue
import ContainerRuntime
import DeliveryModel
import Foundation
import StateStore
import SystemPackage

extension PipelineEngine {
    /// Compresses the logs of jobs that are over, and removes those, and the jobs, that ended too long ago.
    func pruneJobs(removes: Bool) async throws {
        let limit = removes ? settings.keepLogs.map { parts.clock() - $0 } : nil
        let folder = jobsFolder
        let names = try await files.run { _ in try FileSystem.names(in: folder) }
        for id in Set(names.compactMap { Int64($0.prefix { $0 != "." }) }).sorted() {
            let log = LogFile(jobLog(id))
            guard let job = try await parts.store.job(id) else {
                try await files.run { _ in try Self.remove(log) }
                continue
            }
            guard job.state.isTerminal, let end = job.finishedAt else { continue }
            if let limit, end < limit {
                try await files.run { _ in try Self.remove(log) }
            } else {
                try await files.run { cancellation in
                    guard let size = FileSystem.size(log.path), size > RunLogs.smallest else { return }
                    try log.compress { if cancellation.isCancelled { throw CancellationError() } }
                }
            }
        }
        if let limit { try await parts.store.removeJobs(endedBefore: limit) }
    }

    private static func remove(_ log: LogFile) throws {
        for file in [log.path, log.compressed] { try FileSystem.remove(file) }
    }

    /// Seconds after which a job's log was removed; nil when it is there, or there never was one.
    func removal(ofLogOf job: Job) -> Double? {
        guard let keep = settings.keepLogs, job.startedAt != nil, let end = job.finishedAt, end < parts.clock() - keep,
            !LogFile(jobLog(job.id)).exists
        else { return nil }
        return keep
    }
}
