import ContainerRuntime
public import StateStore

/// What people see of jobs, and may do with them.
extension PipelineEngine {
    /// Newest first, without secrets in what people typed.
    public func shownJobs(_ filter: JobFilter, limit: Int) async throws -> [Job] {
        var shown: [Job] = []
        for job in try await parts.store.jobs(filter, limit: limit) { shown.append(try await self.shown(job)) }
        return shown
    }

    public func shown(_ job: Job) async throws -> Job {
        guard job.kind == .exec else { return job }
        var job = job
        job.command = try await masked(job.command, project: job.project)
        return job
    }

    /// Ends a job. False when it is over already.
    public func cancel(job id: Int64, by actor: String) async throws -> Bool {
        guard try await parts.store.requestCancel(job: id, actor: actor) else { return false }
        bell.ring()
        return true
    }
}
