import DeliveryModel
import Deployer
import Logging
import ServiceLifecycle
import StateStore

/// Clears away what deployments that are over left on hosts of targets: claims, and images that nobody goes back to. Of several
/// servers one does so.
struct TargetKeeper: Service {
    let targets: [String: DockerTarget]
    let store: any StateStore
    let logger: Logger
    var every = Duration.seconds(600)

    func run() async throws {
        if targets.isEmpty {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            // Not at the start: what a restart interrupted comes first.
            while (try? await Task.sleep(for: every)) != nil {
                for (name, target) in targets.sorted(by: { $0.key < $1.key }) {
                    do {
                        try await clear(target)
                    } catch is CancellationError {
                        return
                    } catch {
                        logger.error("the target \(name) was not cleared: \(error)")
                    }
                }
            }
        }
    }

    func clear(_ target: DockerTarget) async throws {
        let claimed = try await target.claimed()
        let live = Set(try await store.liveDeployments(project: nil).map(\.name))
        for name in claimed.subtracting(live) {
            if let id = Deployment.id(ofName: name), let deployment = try await store.deployment(id), !deployment.phase.isTerminal { continue }
            if let id = Job.id(ofOwner: name), let job = try await store.job(id), !job.state.isTerminal { continue }
            try await target.dismiss(deployment: name, by: nil)
        }
        // Asked after what is claimed: a deployment that began since keeps its image.
        try await target.removeImages(except: try await store.digestsInUse())
    }
}
