public import DeliveryModel
public import SystemPackage

/// The container of one job, on the target of its stage: an instance that gets no requests and ends by itself.
///
/// Holds no state: what is there is asked of the target, so whoever takes the job over sees the same.
public struct JobContainer: Sendable {
    let target: any Target
    let job: ServiceJob
    let owner: String
    let order: RolloutOrder
    let claim: Claim

    private var instance: InstanceSpec { InstanceSpec(job: job, owner: owner, order: order) }

    /// Nil when there is none for certain.
    public func state() async throws -> InstanceObservation.State? {
        try await target.find(instance: instance.id)?.state
    }

    /// Makes its image available, and starts it unless it is there.
    ///
    /// - Parameter order: with the values of its secrets.
    public func start(_ order: RolloutOrder) async throws {
        try await target.prepare(order)
        try await target.start(InstanceSpec(job: job, owner: owner, order: order), by: claim)
    }

    /// Brings the log in `file` up to what it has written by now; see ``Target/collect(outputOf:into:)``.
    public func collect(into file: FilePath) async throws { try await target.collect(outputOf: instance.id, into: file) }

    /// Ends it, SIGTERM and SIGKILL after `grace`, and takes it away.
    public func remove(grace: Duration) async throws { try await target.stop(deployment: owner, grace: grace, by: claim) }

    /// The job is over, and its end recorded: nobody may act for it any more.
    public func dismiss() async throws { try await target.dismiss(deployment: owner, by: nil) }
}

extension Rollout {
    /// - Parameters:
    ///   - owner: by which the target knows whose container it is, as it does with deployments.
    ///   - order: of the deployment whose image and settings it gets.
    public func container(
        of job: ServiceJob, owner: String, epoch: Int64, as order: RolloutOrder
    ) throws(DeployerError) -> JobContainer {
        JobContainer(
            target: try target(order), job: job, owner: owner, order: order,
            claim: Claim(deployment: owner, epoch: epoch))
    }
}

extension InstanceSpec {
    init(job: ServiceJob, owner: String, order: RolloutOrder) {
        self.init(order: order, replica: 0)
        id = Self.id(project: order.project, stage: "\(order.stage)-\(job.name)", deployment: owner, replica: 0)
        deployment = owner
        self.job = job.name
        service.command = job.command
        service.limits = (job.limits ?? ResourceLimits()).completed(by: service.limits)
        environment["SLIPWAY_JOB"] = job.name
    }
}
