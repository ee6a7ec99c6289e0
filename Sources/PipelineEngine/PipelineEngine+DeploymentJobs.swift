import DeliveryModel
import Deployer
import StateStore

/// The jobs before and after a deployment: the cause of each is the deployment, so that each runs once, whoever carries it out.
extension PipelineEngine {
    /// Those that run with this deployment.
    static func jobNames(_ jobs: [ServiceJob]?, of deployment: Deployment) -> [String] {
        (jobs ?? []).filter { deployment.kind != "rollback" || $0.onRollback == true }.map(\.name)
    }

    /// Makes sure that the job is there, and waits for its end.
    func runJob(_ name: String, _ moment: JobMoment, of deployment: Deployment) async throws -> RolloutOutcome {
        guard let release = try await untilAnswered({ try await parts.store.release(deployment.release) }),
            let job = release.service.jobs?.job(name, moment)
        else { return RolloutOutcome(.jobEnded(name, problem: "the job '\(name)' is not in the release"), "the job '\(name)' is not in the release") }
        let new = NewJob(
            cause: NewJob.cause(deployment: deployment.id, moment, name), deployment: deployment.id, epoch: deployment.epoch,
            kind: moment == .before ? .before : .after, job: job)
        let id: Int64
        switch try await untilAnswered({ try await parts.store.createJob(new) }) {
        case .created(let made):
            id = made
            bell.ring()
        case .exists(let there): id = there
        case .refused: throw LeaseLost()
        }
        let ended = try await endOfJob(id)
        guard ended.state != .succeeded else { return RolloutOutcome(.jobEnded(name, problem: nil), "the job '\(name)' succeeded") }
        let problem = "the job '\(name)' \(ended.state.rawValue): \(ended.message ?? "job \(id)")"
        return RolloutOutcome(
            .jobEnded(name, problem: problem), problem, lastLogLines: ended.logTail?.split(separator: "\n").map(String.init) ?? [])
    }

    /// Ends a job of a deployment that somebody wants to end: it is over before the deployment is.
    func endJob(_ name: String, _ moment: JobMoment, of deployment: Deployment) async throws {
        let cause = NewJob.cause(deployment: deployment.id, moment, name)
        guard let job = try await untilAnswered({ try await parts.store.job(cause: cause) }) else { return }
        _ = try await untilAnswered { try await parts.store.requestCancel(job: job.id, actor: "slipway") }
        bell.ring()
        _ = try await endOfJob(job.id)
    }

    func endOfJob(_ id: Int64) async throws -> Job {
        while true {
            let heard = bell.count
            guard let job = try await untilAnswered({ try await parts.store.job(id) }) else { throw LeaseLost() }
            if job.state.isTerminal { return job }
            await bell.wait(after: heard, atMost: .milliseconds(500))
            try Task.checkCancellation()
        }
    }

    static func failure(of jobs: [String]) -> String {
        (jobs.count == 1 ? "the job '\(jobs[0])' failed" : "the jobs \(jobs.map { "'\($0)'" }.joined(separator: ", ")) failed")
            + ", and nothing is promoted by itself"
    }
}
