public import DeliveryModel
public import OCIModel

/// What a rollout has to bring about. Frozen when the deployment is made, except for the epoch: it never changes while phases advance.
public struct RolloutOrder: Codable, Hashable, Sendable {
    /// Id of the deployment.
    public var deployment: String
    public var project: String
    public var pipeline: String
    public var stage: String
    public var image: Digest
    public var service: ServiceDefinition
    /// Name of the target in the server's configuration.
    public var target: String
    public var strategy: RolloutStrategy
    /// Variables of the stage; replace those of the service.
    public var environment: [String: String]
    /// Host name the router answers for; empty when the service is not reached by HTTP routes.
    public var host: String
    /// The paths of the host that it answers for.
    public var scope: RouteScope
    /// How long requests taken by the previous instances may last before these are stopped anyway.
    public var drainSeconds: Double
    /// The deployment whose instances serve now and are stopped at the end.
    public var previous: String?
    /// Grows from deployment to deployment.
    public var number: Int64
    /// Grows whenever another server takes the deployment over; what an older holder still asks for is refused.
    public var epoch: Int64
    /// How the number of its instances follows what they have to do; nil: it does not.
    public var autoscale: AutoscaleRule?

    public init(
        deployment: String, project: String, pipeline: String, stage: String, image: Digest,
        service: ServiceDefinition, target: String = "local", strategy: RolloutStrategy = .blueGreen(.init()),
        environment: [String: String] = [:], host: String, scope: RouteScope = .init(), drainSeconds: Double = 30, previous: String? = nil,
        number: Int64 = 0, epoch: Int64 = 0, autoscale: AutoscaleRule? = nil
    ) {
        self.deployment = deployment
        self.project = project
        self.pipeline = pipeline
        self.stage = stage
        self.image = image
        self.service = service
        self.target = target
        self.strategy = strategy
        self.environment = environment
        self.host = host
        self.scope = scope
        self.drainSeconds = drainSeconds
        self.previous = previous
        self.number = number
        self.epoch = epoch
        self.autoscale = autoscale
    }

    /// `project/pipeline/stage`: the pipelines of a project may name their stages alike.
    public var routeKey: String { "\(project)/\(pipeline)/\(stage)" }

    /// The route to instances of the deployment.
    func route(to upstreams: [Upstream], beside previous: PreviousVersion? = nil) -> Route {
        Route(
            key: routeKey, host: host, scope: scope == .everything ? nil : scope, upstreams: upstreams, deployment: deployment, previous: previous,
            drainSeconds: drainSeconds)
    }

    var fence: RouteFence { RouteFence(deployment: deployment, number: number, epoch: epoch) }

    var instances: [InstanceSpec] { (0..<max(1, service.replicas)).map { InstanceSpec(order: self, replica: $0) } }
}
