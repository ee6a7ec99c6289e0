import Foundation
import LoadGenerator
import WebServer

extension Prove {
    /// A stage as its server knows it.
    struct Stage {
        let client = Client()
        let place: Place
        let host: String
        let port: Int

        init(_ place: Place) async throws {
            self.place = place
            let path = try await place.path("", client).split(separator: "/").prefix(2).joined(separator: "/")
            let status: StatusValue = try await client.get("/\(path)/status")
            let found = status.stages.filter { $0.stage == place.stage && (place.pipeline == nil || $0.pipeline == place.pipeline) }
            guard let stage = found.first, found.count == 1 else {
                throw Failure(
                    found.isEmpty ? "'\(status.project)' has no stage '\(place.stage)'" : "several pipelines have a stage '\(place.stage)'",
                    hint: "see what is where with: slipway status; say which pipeline with --pipeline", status: Failure.usage)
            }
            guard stage.digest != nil else {
                throw Failure("nothing is live in '\(place.stage)' yet", hint: "deliver something first: there is nothing to compare with")
            }
            guard !stage.host.isEmpty else {
                throw Failure("no request reaches '\(place.stage)': its service has no port", hint: "prove a stage that has a host")
            }
            host = stage.host
            port = URL(string: stage.url)?.port ?? 80
        }

        /// Deploys what a run made, and waits for the end.
        func deploy(_ run: Int64, isBad: Bool, _ load: LoadRun, limit: Double) async throws -> ProofReport.Deployment {
            let began = load.elapsed
            let asked: DeploymentValue = try await client.post(try await place.path("promote", client, ["run": "\(run)"]))
            var turned: Double?
            var shares = Shares(at: began)
            while true {
                let made: RunValue = try await client.get("/runs/\(run)")
                guard let now = made.deployments?.first(where: { $0.id == asked.id }) else {
                    throw Failure("deployment \(asked.id) is gone", hint: "was the project removed?")
                }
                if now.state == "awaitingApproval" {
                    throw Failure(
                        "'\(place.stage)' waits for approval", hint: "prove a stage that needs none", status: Failure.refused)
                }
                if now.state == "reverting", turned == nil { turned = load.elapsed }
                shares.see(now.givenShare, at: load.elapsed, turned: turned)
                if now.finishedAt != nil {
                    return ProofReport.Deployment(
                        id: now.id, run: run, isBad: isBad, state: now.state, message: now.message, began: began, ended: load.elapsed,
                        turned: turned, share: shares.greatest, allowance: shares.sum / 100 * Double(load.rate))
                }
                guard load.elapsed < limit else {
                    throw Failure("deployment \(now.id) is not over after \(Int(limit)) s: it is \(now.state)", hint: "see: slipway status")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }
}

/// What part of the requests a deployment had, and for how long.
private struct Shares {
    /// In percent.
    var greatest = 0.0
    /// Percent times seconds.
    var sum = 0.0
    private var last = 0.0
    private var at: Double

    init(at: Double) { self.at = at }

    /// What is seen now may be so since the last look.
    mutating func see(_ share: Double, at now: Double, turned: Double?) {
        // The routers need a moment, and so may an answer that was begun before.
        let end = turned.map { min(now, $0 + 1) } ?? now
        let given = turned == nil ? max(last, share) : last
        if turned == nil { (greatest, last) = (max(greatest, share), share) }
        sum += given * max(0, end - at)
        at = max(at, end)
    }
}

extension DeploymentValue {
    /// The share that the router has for certain, or may have by now.
    fileprivate var givenShare: Double {
        guard let rollout else { return 0 }
        let isGiven = ["weighting", "switching", "confirming"].contains(state) && rollout.waves.indices.contains(rollout.wave - 1)
        return isGiven ? max(rollout.share, rollout.waves[rollout.wave - 1].share) : rollout.share
    }
}
