import DeliveryModel
import Foundation
import OCIModel
import PipelineFile
public import StateStore

/// What of a run is to happen again.
public enum RerunScope: Hashable, Sendable {
    case whole
}

extension PipelineEngine {
    private static let longestKey = 200

    /// Creates a run of the same commit and plan. The same key for the same run makes one run however often it is asked.
    ///
    /// - Parameter key: 1 to 200 printable ASCII characters.
    /// - Throws: ``EngineError`` with `notRepeatable` that says what is possible instead.
    public func rerun(_ run: Run, _ scope: RerunScope, key: String, by actor: String) async throws -> CreationOutcome {
        guard (1...Self.longestKey).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw EngineError(
                .notRepeatable, "the idempotency key is not usable",
                hint: "use 1 to \(Self.longestKey) printable ASCII characters without spaces")
        }
        guard let text = run.plan else {
            throw EngineError(
                .notRepeatable, "run \(run.id) has no valid pipeline file", hint: "correct the file and push the commit")
        }
        guard run.state.isTerminal else {
            throw EngineError(
                .notRepeatable, "run \(run.id) is not over: \(run.state.rawValue)",
                hint: "wait for it, or stop it with: slipway cancel \(run.id)")
        }
        let plan = try OCIJSON.decode(PipelinePlan.self, from: Array(text.utf8))
        var again = NewRun(
            project: run.project, pipeline: run.pipeline, trigger: "rerun:\(run.id):\(key)", event: run.event,
            commit: run.commit, branch: run.branch, author: run.author, message: run.message, commitTime: run.commitTime,
            plan: text, diagnostic: nil,
            steps: plan.steps.map { NewStep(name: $0.name, image: $0.image, dependsOn: $0.dependsOn) }, rerunOf: run.id)
        Self.joinGroup(&again, plan)
        let outcome = try await parts.store.createRun(again, actor: actor)
        bell.ring()
        return outcome
    }
}
