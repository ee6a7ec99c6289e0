import DeliveryModel
import Logging
public import StateStore

/// Jobs by schedule. One server looks at the clock; that a time fires once is the store's promise, not its.
extension PipelineEngine {
    /// Looks once in every minute, as schedules have no smaller unit.
    func watchSchedules() async {
        var last: Int64?
        while !Task.isCancelled {
            let minute = Int64(parts.clock() / 60)
            if minute != last {
                do {
                    try await fireSchedules()
                    last = minute
                } catch is CancellationError {
                    return
                } catch let error as StateError where error.isOutage {
                    trouble.began(error)
                } catch {
                    logger.error("schedules: \(error)")
                    last = minute
                }
            }
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    /// Makes the jobs that are due in what is live.
    func fireSchedules() async throws {
        for live in try await parts.store.liveDeployments(project: nil) {
            guard let release = try await parts.store.release(live.release), let jobs = release.service.cron, !jobs.isEmpty else { continue }
            let handled = try await parts.store.schedules(project: live.project, pipeline: live.pipeline, stage: live.stage)
            for cron in jobs {
                // A time in the middle of the deployment is the new version's when the old one had the job and did not run it any more.
                let known = handled[cron.job.name].map { max($0, live.startedAt ?? $0) }
                guard let time = cron.due(at: parts.clock(), after: known ?? live.finishedAt ?? parts.clock()) else { continue }
                let new = NewJob(
                    cause: NewJob.cause(of: cron.job.name, in: live, at: time), deployment: live.id, kind: .cron, job: cron.job,
                    scheduledFor: time, isAlone: !cron.overlaps)
                if case .created(let id) = try await parts.store.createJob(new) {
                    logger.info("job due", metadata: ["job": "\(id)", "name": "\(cron.job.name)", "stage": "\(live.stage)"])
                    bell.ring()
                }
            }
        }
    }

    /// Starts a job of the schedule of what is live now.
    public func runScheduled(_ name: String, in place: StageName, by actor: String) async throws -> Job {
        let (live, release) = try await live(in: place)
        guard let cron = release.service.cron?.first(where: { $0.job.name == name }) else {
            let known = (release.service.cron ?? []).map(\.job.name).joined(separator: ", ")
            throw EngineError(
                .unknownJob, "what is live in '\(place.stage)' of '\(place.project)' has no job '\(name)' in its schedule",
                hint: known.isEmpty ? "name it under `cron` of the service, and deliver" : "it has: \(known)")
        }
        return try await create(
            NewJob(deployment: live.id, kind: .manual, job: cron.job, actor: actor, isAlone: !cron.overlaps, remark: "job \(name)"))
    }

    /// The ledger is for ever: whole commands are in the history.
    private static let longestRemark = 1000

    /// Runs any command in what is live now. It stays in the history, and without its secrets in the ledger.
    ///
    /// - Parameter timeout: seconds.
    public func execute(_ command: [String], timeout: Double, in place: StageName, by actor: String) async throws -> Job {
        let (live, _) = try await live(in: place)
        let job = ServiceJob(name: "exec", command: command, timeout: timeout)
        let shown = try await masked(command, project: place.project).joined(separator: " ")
        let remark = shown.count > Self.longestRemark ? shown.prefix(Self.longestRemark) + "…" : shown
        return try await create(NewJob(deployment: live.id, kind: .exec, job: job, actor: actor, remark: remark))
    }

    func create(_ new: NewJob) async throws -> Job {
        guard case .created(let id) = try await parts.store.createJob(new), let job = try await parts.store.job(id) else {
            throw EngineError(.nothingUnderWay, "the deployment \(new.deployment) is gone", hint: "see: slipway status")
        }
        guard job.state != .skipped else {
            throw EngineError(
                .busy, "'\(job.name)' is not started: \(job.message ?? "")", hint: "wait for its end, or end it with: slipway jobs cancel")
        }
        bell.ring()
        return job
    }

    /// What is live in a stage.
    func live(in place: StageName) async throws -> (Deployment, Release) {
        guard let live = try await parts.store.liveDeployments(project: place.project).first(where: place.contains),
            let release = try await parts.store.release(live.release)
        else {
            throw EngineError(
                .nothingLive, "nothing is live in '\(place.stage)' of '\(place.project)'", hint: "deliver something there first: slipway status")
        }
        return (live, release)
    }
}
