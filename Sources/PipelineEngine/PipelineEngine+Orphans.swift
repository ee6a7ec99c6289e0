import ContainerRuntime
import DeliveryModel
import Deployer
import Foundation
import GitRepository
import Logging
public import StateStore
import SystemPackage

extension PipelineEngine {
    static let runLabel = "slipway.run"
    static let stepLabel = "slipway.step"

    /// Removes a project: what the store knows, then its instances, routes, run folders and mirror.
    public func removeProject(_ name: String) async throws -> RemovalOutcome {
        let outcome = try await parts.store.removeProject(name)
        // Its containers may be on another machine than a server that does not work.
        if outcome == .removed, settings.works { try await removeRest() }
        return outcome
    }

    /// The sweep of this or another server may be removing the same: what one of them has just taken is an error for the other.
    private func removeRest() async throws {
        for attempt in 1... {
            do { return try await removeOrphans() } catch  where attempt < 20 && !(error is CancellationError) {
                logger.debug("what is left of a project is removed once more: \(error)")
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Removes what belongs to nothing the store knows, such as the rest of a project whose removal was cut off.
    /// Rows are written before what they stand for is made, so nothing that is about to be used can be met here.
    func removeOrphans() async throws {
        for name in try await parts.rollout.deployments() {
            if let id = Deployment.id(ofName: name), try await parts.store.deployment(id) != nil { continue }
            if let id = Job.id(ofOwner: name), let job = try await parts.store.job(id), !job.state.isTerminal { continue }
            logger.notice("removing what is left of \(name), which is over or belongs to no project")
            try await parts.rollout.remove(deployment: name)
        }
        for container in try await parts.runtime.list() {
            guard let run = container.labels[Self.runLabel], try await !isKnown(run: run) else { continue }
            if let id = Int64(run) { try await parts.runtime.forget(owner: Self.owner(ofRun: id)) }
            try await parts.runtime.stop(container.id, grace: .zero)
            try await parts.runtime.remove(container.id)
        }
        for run in try FileSystem.names(in: runsFolder) where try await !isKnown(run: run) {
            try await RunWorkspace(folder: runsFolder.appending(run)).remove()
            try FileSystem.remove(runsFolder.appending(run))
        }
        for mirror in try FileSystem.names(in: mirrorsFolder) {
            let project = mirror.hasSuffix(Self.mirrorSuffix) ? String(mirror.dropLast(Self.mirrorSuffix.count)) : mirror
            if mirror.hasSuffix(Self.mirrorSuffix) {
                if try await parts.store.project(project) == nil { try await removeMirror(of: project) }
            } else {
                try FileSystem.remove(mirrorsFolder.appending(mirror))
            }
        }
    }

    /// Removes the containers of runs and jobs that are over: the rest of a holder that was killed after it had recorded the end.
    func removeEndedContainers() async throws {
        for container in try await parts.runtime.list() {
            if let owner = container.labels[InstanceSpec.deploymentLabel], let job = Job.id(ofOwner: owner),
                try await parts.store.job(job)?.state.isTerminal == true
            {
                try await parts.rollout.remove(deployment: owner)
            }
            guard let run = container.labels[Self.runLabel].flatMap(Int64.init), let step = container.labels[Self.stepLabel],
                try await parts.store.run(run)?.state.isTerminal == true
            else { continue }
            await discard(step, ofRun: run)
        }
    }

    /// Takes away the epochs of runs, deployments and jobs that are over.
    func forgetEpochs() async throws {
        let live = Set(try await parts.store.liveDeployments(project: nil).map(\.name))
        for owner in try await parts.runtime.owners() where !live.contains(owner) {
            if let id = Deployment.id(ofName: owner) {
                if let deployment = try await parts.store.deployment(id), !deployment.phase.isTerminal { continue }
            } else if let id = Job.id(ofOwner: owner) {
                if let job = try await parts.store.job(id), !job.state.isTerminal { continue }
            } else if owner.hasPrefix("run-"), let id = Int64(owner.dropFirst(4)) {
                if let run = try await parts.store.run(id), !run.state.isTerminal { continue }
            }
            try await parts.runtime.forget(owner: owner)
        }
    }

    /// Another server may be fetching into it.
    func removeMirror(of project: String) async throws {
        try FileSystem.remove(try await mirror(project).setAside())
    }

    private func isKnown(run: String) async throws -> Bool {
        guard let id = Int64(run) else { return false }
        return try await parts.store.run(id) != nil
    }
}
