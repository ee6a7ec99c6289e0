import ContainerRuntime
import DeliveryModel
import Logging
import StateStore
import SystemPackage

extension PipelineEngine {
    func workspace(of run: Int64) -> RunWorkspace { RunWorkspace(folder: runFolder(run)) }

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

    /// What a run that is over leaves: nothing when it succeeded, else its files for a time. What fails here is done by ``prune()``.
    func putAway(_ run: Int64, _ state: RunState) async {
        do {
            if state == .succeeded { try await workspace(of: run).remove() } else { try await workspace(of: run).rest() }
        } catch {
            logger.warning("the workspace of run \(run) stays for now: \(error)")
        }
    }

    /// Removes the workspaces of runs that succeeded, and with `removes` those of runs that have been over for long enough.
    func prune(removes: Bool) async throws {
        for name in try FileSystem.names(in: runsFolder) {
            guard let id = Int64(name), !workspace(of: id).isGone, let run = try await parts.store.run(id), run.state.isTerminal else {
                continue
            }
            if run.state != .succeeded {
                if !removes || parts.clock() - (run.finishedAt ?? 0) < settings.keepWorkspace {
                    try await workspace(of: id).rest()
                    continue
                }
                if try await parts.store.reruns(of: id).contains(where: { !$0.state.isTerminal && $0.phase == .checkout }) { continue }
            }
            try await workspace(of: id).remove()
        }
    }
}
