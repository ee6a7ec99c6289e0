import ContainerRuntime
import DeliveryModel
import Foundation
import Logging
import StateStore
import SystemPackage

extension PipelineEngine {
    func workspace(of run: Int64) -> RunWorkspace { RunWorkspace(folder: runFolder(run)) }

    /// Fills a run's workspace by `fill`, in a place of its own first: an earlier holder of the run that is still at it, or wakes
    /// up in the middle of it, cannot reach what this one uses.
    func checkOut(
        to files: RunWorkspace, epoch: Int64, fill: (_ staged: RunWorkspace) async throws -> Void
    ) async throws {
        // What an interrupted checkout left is no good.
        try await containers.acting { try await files.putAside() }
        do { try files.emptyBin() } catch {
            // Somebody still writes there: it goes with the run.
            logger.warning("run folder \(files.folder): \(error)")
        }
        let staged = files.staged(epoch: epoch)
        try await fill(staged)
        try await containers.acting { try await files.adopt(staged) }
    }

    /// Fills a repeated run's workspace with what the steps it takes over left. Returns false when it takes over none.
    func takeOver(_ run: Run, to files: RunWorkspace) async throws -> Bool {
        guard let original = run.rerunOf else { return false }
        let taken = try await parts.store.steps(of: run.id).filter { $0.takenFrom != nil }
        if taken.isEmpty { return false }
        let names = Set(taken.map(\.name))
        let batches = try await known(among: names, of: original)
        guard Set(batches.joined()) == names else {
            throw RunFailed(
                reason: "the workspace of run \(original) is not here any more; run everything again with: slipway rerun \(original)")
        }
        try await files.begin(with: batches, of: workspace(of: original))
        for step in taken {
            try logs(of: step.takenFrom ?? original).log(step.name).keep(as: logs(of: run.id).log(step.name))
        }
        return true
    }

    /// What of `allowed` can be taken over from a run, batch by batch.
    func known(among allowed: Set<String>, of run: Int64) async throws -> [[String]] {
        let files = workspace(of: run)
        // A checkout that was cut off left something else than steps do.
        guard files.exists, try await parts.store.run(run)?.phase != .checkout else { return [] }
        let started = try await parts.store.steps(of: run).filter { $0.startedAt != nil }.map(\.name)
        return try files.known(among: allowed, started: Set(started))
    }

    /// What a run that is over leaves: nothing when it succeeded, else its files for a time. What fails here is done by ``pruneWorkspaces()``.
    func putAway(_ run: Int64, _ state: RunState) async {
        do {
            if state == .succeeded { try await workspace(of: run).remove() } else { try await workspace(of: run).rest() }
        } catch {
            logger.warning("the workspace of run \(run) stays for now: \(error)")
        }
    }

    /// Removes the workspaces of runs that succeeded, and with `removes` those of runs that have been over for long enough.
    func pruneWorkspaces(removes: Bool) async throws {
        for name in try FileSystem.names(in: runsFolder) {
            guard let id = Int64(name), !workspace(of: id).isGone, let run = try await parts.store.run(id), run.state.isTerminal else {
                continue
            }
            // Whoever ended it is about to put it away.
            let age = parts.clock() - (run.finishedAt ?? 0)
            if age < 10 { continue }
            if run.state != .succeeded {
                if !removes || age < settings.keepWorkspace {
                    try await workspace(of: id).rest()
                    continue
                }
                if try await parts.store.reruns(of: id).contains(where: { !$0.state.isTerminal && $0.phase == .checkout }) { continue }
            }
            try await workspace(of: id).remove()
        }
    }
}
