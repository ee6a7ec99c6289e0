import GitRepository
import Logging
import StateStore
import SystemPackage

/// Finds pushes whose webhook never came: the branches of every project are looked at, at the start and from time to time.
extension PipelineEngine {
    static let branchPrefix = "refs/heads/"

    /// All projects, now and every interval.
    func watchBranches() async {
        guard settings.reconcileInterval > .zero else { return }
        while !Task.isCancelled {
            await compareBranches(onlyNew: false)
            try? await Task.sleep(for: settings.reconcileInterval)
        }
    }

    /// Projects that were added here, at once: what their branches are now counts as seen.
    func welcomeProjects() async {
        guard settings.reconcileInterval > .zero else { return }
        var heard = newProjects.count
        while !Task.isCancelled {
            await newProjects.wait(after: heard, atMost: .seconds(3600))
            if newProjects.count == heard { continue }
            heard = newProjects.count
            await compareBranches(onlyNew: true)
        }
    }

    private func compareBranches(onlyNew: Bool) async {
        do {
            for project in try await parts.store.projects() {
                let isNew = try await parts.store.reconciliation(of: project.name)?.at == nil
                if isNew || !onlyNew { try await lookAtBranches(of: project) }
                if Task.isCancelled { return }
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("branches cannot be compared: \(error)")
        }
    }

    /// A fetch costs hardly more than a listing of the branches when nothing moved, and is what a run needs when something did.
    func lookAtBranches(of project: Project) async throws {
        let last = try await parts.store.deliveries(project: project.name, limit: 1).first?.id ?? 0
        let references: [String: CommitID]
        do {
            references = try await mirror(project.name).fetch(from: project.url)
        } catch let error as GitError {
            if try await parts.store.reconcileFailed(project: project.name, problem: error.description) {
                logger.warning(
                    "the branches of \(project.name) cannot be read, trying on: \(error)", metadata: ["project": "\(project.name)"])
            }
            return
        }
        var heads: [String: String] = [:]
        for (name, commit) in references where name.hasPrefix(Self.branchPrefix) {
            heads[String(name.dropFirst(Self.branchPrefix.count))] = commit.hex
        }
        let before = try await parts.store.reconciliation(of: project.name)
        let found = try await parts.store.reconcile(project: project.name, heads: heads, after: last)
        if before?.problem != nil {
            logger.notice("the branches of \(project.name) can be read again", metadata: ["project": "\(project.name)"])
        }
        if !found.isEmpty {
            logger.notice(
                "found pushes that no webhook told of", metadata: ["project": "\(project.name)", "deliveries": "\(found)"])
            bell.ring()
        }
        // The project may have been removed meanwhile, and its mirror with it, before the fetch made it again.
        if try await parts.store.project(project.name) == nil {
            try await removeMirror(of: project.name)
        }
    }
}
