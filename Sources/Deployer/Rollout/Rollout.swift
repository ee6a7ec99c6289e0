public import DeliveryModel
import OCIModel

/// Blue-green: the new instances start beside the old ones, prove their health, take over the route, and only then
/// do the old ones go. When the new ones are unfit the old ones keep serving.
///
/// Holds no state. The caller commits each ``RolloutStep`` before it advances again; a phase that was cut off by a crash
/// is simply advanced once more, because each one looks first at what is there.
public struct Rollout: Sendable {
    let target: any Target
    let router: any Router
    let probe: any HTTPProbe
    let clock: any Clock<Duration>
    /// How long stopped instances have between SIGTERM and SIGKILL.
    let stopGrace: Duration

    public init(
        target: any Target, router: any Router, probe: any HTTPProbe,
        clock: any Clock<Duration> = ContinuousClock(), stopGrace: Duration = .seconds(10)
    ) {
        self.target = target
        self.router = router
        self.probe = probe
        self.clock = clock
        self.stopGrace = stopGrace
    }

    /// Does the work of one phase and says which one follows.
    ///
    /// - Throws: when the phase could not be finished but may be tried again (the router does not answer while
    ///   retiring, say), `.illegalTransition` for a phase that is not under way, `CancellationError` when cancelled.
    ///   An unfit release is not thrown: it is the step to `.reverting`.
    public func advance(_ order: RolloutOrder, from phase: RolloutPhase) async throws -> RolloutStep {
        guard order.previous != order.deployment else {
            throw DeployerError(
                .invalidValue, "the deployment \(order.deployment) names itself as its predecessor",
                hint: "make a new deployment for the same release")
        }
        // Whoever held the deployment before may still be about to write.
        if phase != .queued, !order.host.isEmpty { try await router.fence(order.routeKey, by: order.fence) }
        let outcome: Outcome
        switch phase {
        case .queued:
            outcome = Outcome(.accepted, "starting \(count(order)) of \(order.image.short)")
        case .starting: outcome = try await fallible { try await start(order) }
        case .warming: outcome = try await fallible { try await warm(order) }
        case .switching: outcome = try await fallible { try await switchOver(order) }
        case .confirming: outcome = try await fallible { try await confirm(order) }
        case .draining: outcome = try await drain(order)
        case .retiring: outcome = try await retire(order)
        case .reverting: outcome = try await revert(order)
        default: outcome = Outcome(.reverted, "")  // refused below: nothing is under way
        }
        return RolloutStep(
            next: try outcome.event.next(after: phase), message: outcome.message, lastLogLines: outcome.lastLogLines)
    }

    struct Outcome {
        var event: RolloutEvent
        var message: String
        var lastLogLines: [String] = []

        init(_ event: RolloutEvent, _ message: String, lastLogLines: [String] = []) {
            self.event = event
            self.message = message
            self.lastLogLines = lastLogLines
        }
    }

    /// Until the old instances are out of the route, any failure means: back.
    private func fallible(_ body: () async throws -> Outcome) async throws -> Outcome {
        do {
            return try await body()
        } catch let error as CancellationError {
            throw error
        } catch let error as DeployerError where error.code == .staleHolder || error.code == .busy {
            // Says nothing about the release.
            throw error
        } catch {
            try Task.checkCancellation()
            return Outcome(.unfit, "\(error)")
        }
    }

    func count(_ order: RolloutOrder) -> String {
        let count = order.instances.count
        return count == 1 ? "1 instance" : "\(count) instances"
    }
}
