import DeliveryModel
import FoundationEssentials
import GitRepository
import Logging
import OCIModel
import PipelineFile
import StateStore

extension PipelineEngine {
    static let pipelineFolder = "pipelines"
    private static let pipelineFileLimit = 256 << 10
    /// Seconds until a delivery that failed is tried again; after the last it is given up.
    private static let retryDelays: [Double] = [1, 2, 5, 15, 60, 300]

    /// Turns a committed delivery into runs. Returns whether there was one.
    func intake() async throws -> Bool {
        let asked = ContinuousClock.now
        let claimed = try await parts.store.claimDelivery(holder: settings.holder, leaseSeconds: settings.leaseSeconds)
        guard let delivery = claimed else { return false }
        guard delivery.starts <= settings.startLimit else {
            let reason = "quarantined: the server ended \(settings.startLimit) times while it worked on this delivery"
            logger.error("delivery \(delivery.id) of \(delivery.project) is \(reason)")
            try await parts.store.postponeDelivery(delivery.id, reason: reason, delay: 0, final: true)
            return true
        }
        do {
            try await holding(nil, asked: asked) {
                try await parts.store.renewDelivery(delivery.id, epoch: delivery.epoch, leaseSeconds: settings.leaseSeconds)
            } _: {
                try await take(delivery)
            }
        } catch is LeaseLost {
            logger.warning("delivery \(delivery.id) was taken over by another server")
        }
        return true
    }

    /// Plans a delivery and records what came of it.
    private func take(_ delivery: Delivery) async throws {
        do {
            let (outcome, runs) = try await plan(delivery)
            let ids = try await parts.store.finishDelivery(delivery.id, outcome: outcome, runs: runs)
            logger.info(
                "delivery processed", metadata: ["delivery": "\(delivery.id)", "outcome": "\(outcome)", "runs": "\(ids)"])
            if !ids.isEmpty { bell.ring() }
        } catch let error as StateError where error.isOutage {
            throw error
        } catch {
            try Task.checkCancellation()
            try HeldLease.current?.assertHeld()
            let final = delivery.attempts >= Self.retryDelays.count
            let delay = final ? 0 : Self.retryDelays[delivery.attempts]
            logger.warning(
                "delivery \(delivery.id) of \(delivery.project) failed: \(error)",
                metadata: ["final": "\(final)", "retrySeconds": "\(delay)"])
            try await parts.store.postponeDelivery(delivery.id, reason: "\(error)", delay: delay, final: final)
        }
    }

    /// Lets a delivery that was given up be worked on again. False when there is none with this id.
    public func retryDelivery(_ id: Int64, by actor: String) async throws -> Bool {
        guard let project = try await parts.store.retryDelivery(id) else { return false }
        try await parts.store.record(
            project: project, run: nil, deployment: nil, actor: actor, message: "delivery \(id) worked on again")
        bell.ring()
        return true
    }

    /// What a delivery leads to: in words, and as runs.
    private func plan(_ delivery: Delivery) async throws -> (String, [NewRun]) {
        guard let event = PipelineFile.Event(rawValue: delivery.event) else {
            return ("nothing to do for the event '\(delivery.event)'", [])
        }
        guard let project = try await parts.store.project(delivery.project) else {
            return ("the project was removed", [])
        }
        let mirror = mirror(project.name)
        let refs = try await mirror.fetch(from: project.url)
        let revision =
            delivery.commit ?? delivery.tag.map { "refs/tags/\($0)" } ?? delivery.branch.map { "refs/heads/\($0)" }
        guard let revision else { return ("the delivery names no branch, tag or commit", []) }
        if delivery.commit == nil, refs[revision] == nil {
            return ("the repository has no \(revision)", [])
        }
        let id = try await mirror.resolve(revision)
        let commit = try await mirror.commit(id)
        let before = delivery.before.flatMap { try? CommitID(parsing: $0) }
        let changed = try await changedPaths(mirror, from: before ?? commit.parents.first, to: id)
        let files = try await mirror.list(Self.pipelineFolder, at: id)
            .filter { $0.kind == .file || $0.kind == .executable }
            .filter { $0.name.hasSuffix(".yaml") || $0.name.hasSuffix(".yml") }
        if files.isEmpty { return ("commit \(id.hex.prefix(12)) has no \(Self.pipelineFolder)/*.yaml", []) }

        var runs: [NewRun] = []
        var skipped: [String] = []
        for file in files {
            let path = "\(Self.pipelineFolder)/\(file.name)"
            let name = String(file.name.prefix(upTo: file.name.lastIndex(of: ".") ?? file.name.endIndex))
            var run = NewRun(
                project: project.name, pipeline: name, trigger: "\(delivery.forge):\(delivery.forgeID)",
                event: delivery.event, commit: id.hex, branch: delivery.branch ?? delivery.tag,
                author: commit.authorName, message: commit.summary, commitTime: commit.committerTime, plan: nil,
                diagnostic: nil, steps: [],
                authorEmails: [commit.authorEmail] + CommitAuthors.coauthors(inMessage: commit.message))
            do {
                let bytes = try await mirror.readFile(path, at: id, limit: Self.pipelineFileLimit) ?? []
                let plan = try PipelineParser.parse(String(decoding: bytes, as: UTF8.self), file: path)
                let outcome = plan.matches(
                    event: event, branch: delivery.branch ?? delivery.tag, changedPaths: changed)
                if case .skipped(let reason) = outcome {
                    skipped.append("\(name): \(reason)")
                    continue
                }
                run.plan = String(decoding: try OCIJSON.encode(plan), as: UTF8.self)
                run.steps = plan.steps.map { NewStep(name: $0.name, image: $0.image, dependsOn: $0.dependsOn) }
                Self.joinGroup(&run, plan)
            } catch let error as PipelineError {
                run.diagnostic = error.description
            } catch let error as GitError {
                run.diagnostic = error.description
            }
            runs.append(run)
        }
        let started = runs.map(\.pipeline).joined(separator: ", ")
        let outcome = [started.isEmpty ? "no run" : "runs: \(started)"] + skipped
        return (outcome.joined(separator: "; "), runs)
    }

    static func joinGroup(_ run: inout NewRun, _ plan: PipelinePlan) {
        run.concurrencyGroup = plan.concurrency?.name(branch: run.branch ?? "", event: run.event)
        run.supersedes = plan.concurrency?.cancel ?? false
    }

    /// The files a push touched; unknown history (a force push, a new branch) counts as everything.
    private func changedPaths(_ mirror: GitMirror, from: CommitID?, to: CommitID) async throws -> [String] {
        do {
            return try await mirror.changedPaths(from: from, to: to)
        } catch is GitError where from != nil {
            return try await mirror.changedPaths(from: nil, to: to)
        }
    }
}
