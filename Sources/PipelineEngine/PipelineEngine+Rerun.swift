import DeliveryModel
import Foundation
import OCIModel
import PipelineFile
public import StateStore

/// What of a run is to happen again.
public enum RerunScope: Hashable, Sendable {
    case whole
    /// What did not succeed, and what depends on it.
    case failed
    /// This step, and what depends on it.
    case from(String)
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
            steps: [], rerunOf: run.id, authorEmails: run.authorEmails)
        let taken = try await takenOver(run, plan, scope)
        again.steps = plan.steps.map {
            NewStep(name: $0.name, image: $0.image, dependsOn: $0.dependsOn, takenOver: taken[$0.name])
        }
        Self.joinGroup(&again, plan)
        let outcome = try await parts.store.createRun(again, actor: actor)
        bell.ring()
        return outcome
    }

    /// The run of its concurrency group that a queued run waits for: the one just before it.
    public func waitsFor(_ run: Run) async throws -> Int64? {
        guard run.state == .queued, let group = run.concurrencyGroup else { return nil }
        return try await parts.store.runs(project: run.project, limit: 500)
            .first { $0.concurrencyGroup == group && !$0.state.isTerminal && $0.id < run.id }?.id
    }

    /// The steps whose outcome counts for the new run too: those that may, as far as what they left is known.
    private func takenOver(_ run: Run, _ plan: PipelinePlan, _ scope: RerunScope) async throws -> [String: Step] {
        let steps = try await parts.store.steps(of: run.id)
        let succeeded = Set(steps.filter { $0.state == .succeeded }.map(\.name))
        let allowed: Set<String>
        switch scope {
        case .whole: return [:]
        case .failed:
            if run.state == .succeeded {
                throw EngineError(
                    .notRepeatable, "nothing of run \(run.id) failed", hint: "run everything again with: slipway rerun \(run.id)")
            }
            allowed = succeeded
        case .from(let first):
            guard plan.steps.contains(where: { $0.name == first }) else {
                throw EngineError(
                    .notRepeatable, "run \(run.id) has no step '\(first.prefix(80))'",
                    hint: "its steps: \(plan.steps.map(\.name).joined(separator: ", "))")
            }
            allowed = succeeded.subtracting(plan.following(first))
        }
        if allowed.isEmpty { return [:] }
        guard workspace(of: run.id).exists else {
            let reason = run.state == .succeeded ? "it succeeded" : "it has been over for too long"
            throw EngineError(
                .notRepeatable, "the workspace of run \(run.id) is not kept: \(reason)",
                hint: "run everything again with: slipway rerun \(run.id)")
        }
        let known = Set(try await known(among: allowed, of: run.id).joined())
        return Dictionary(steps.filter { known.contains($0.name) }.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
}

extension PipelinePlan {
    /// A step and all that depend on it, directly or not.
    func following(_ step: String) -> Set<String> {
        var found: Set<String> = [step]
        var count = 0
        while count != found.count {
            count = found.count
            for step in steps where !found.isDisjoint(with: step.dependsOn) { found.insert(step.name) }
        }
        return found
    }
}
