import BlockingQueue
import ContainerRuntime
import DeliveryModel
import Logging
import StateStore
import SystemPackage

extension PipelineEngine {
    /// Beside the work, not before it: a server that comes back takes up its runs at once, however many folders there are.
    func sweep() async {
        var known: Set<String> = []
        var isFirst = true
        while !Task.isCancelled {
            do {
                // A project may be removed by a server that does not work.
                let names = Set(try await parts.store.projects().map(\.name))
                if isFirst || !known.isSubset(of: names) { try await removeOrphans() }
                try await removeEndedContainers()
                known = names
                isFirst = false
                guard settings.isShared else { return }
            } catch is CancellationError {
                return
            } catch let error as StateError where error.code == .unavailable {
                trouble.began(error)
            } catch {
                logger.error("leftovers could not be removed: \(error)")
                isFirst = false
                guard settings.isShared else { return }
            }
            try? await Task.sleep(for: .seconds(2))
        }
    }

    func prune() async {
        // What goes for its age does not go at once: a wrong clock is often put right soon after the machine's start.
        let begun = ContinuousClock.now
        let keep = min(settings.keepWorkspace, settings.keepLogs ?? .infinity)
        var logsAreDue = begun
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let removes = now - begun >= .seconds(min(keep / 4, 3600))
            await without("old workspaces could not be removed") { try await pruneWorkspaces(removes: removes) }
            await without("epochs of what is over could not be removed") { try await forgetEpochs() }
            if now >= logsAreDue {
                await without("logs could not be compressed or removed") { try await pruneLogs(removes: removes) }
                await without("what jobs left could not be compressed or removed") { try await pruneJobs(removes: removes) }
                logsAreDue = now + .seconds(min(max(keep / 4, 1), 600))
            }
            try? await Task.sleep(for: .seconds(min(max(keep / 4, 1), 30)))
        }
    }

    private func without(_ problem: String, _ work: () async throws -> Void) async {
        do { try await work() } catch  where !(error is CancellationError) { logger.error("\(problem): \(error)") } catch {}
    }

    /// Compresses the logs of runs that are over, and removes those of runs that ended too long ago.
    func pruneLogs(removes: Bool) async throws {
        let keep = settings.keepLogs
        let limit = removes ? keep.map { parts.clock() - $0 } : nil
        let runs = runsFolder
        let due = try await files.run { _ in
            try FileSystem.names(in: runs).compactMap { Int64($0) }.sorted().compactMap { id -> (Int64, RunLogs.Care)? in
                try RunLogs(folder: runs.appending("\(id)")).care(removingBefore: limit).map { (id, $0) }
            }
        }
        for (id, care) in due {
            guard let run = try await parts.store.run(id), run.state.isTerminal else { continue }
            let logs = RunLogs(folder: runFolder(id))
            let isOld = limit.map { (run.finishedAt ?? .infinity) < $0 } ?? false
            if care == .remove, isOld, let keep {
                // A repetition may be about to take them over.
                if try await parts.store.reruns(of: id).contains(where: { !$0.state.isTerminal && $0.phase == .checkout }) { continue }
                try await files.run { _ in try logs.remove(after: keep) }
                logger.info("the logs of run \(id) were removed: it ended too long ago")
            } else {
                try await files.run { try logs.compress($0) }
            }
        }
    }

    func logs(of run: Int64) -> RunLogs { RunLogs(folder: runFolder(run)) }
}
