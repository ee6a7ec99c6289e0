import DeliveryModel
import PipelineFile
import StateStore

/// One stage: pipelines of the same project may name their stages alike.
public struct StageName: Hashable, Sendable {
    public var project: String
    public var pipeline: String
    public var stage: String

    public init(project: String, pipeline: String, stage: String) {
        self.project = project
        self.pipeline = pipeline
        self.stage = stage
    }

    init(of deployment: Deployment) {
        self.init(project: deployment.project, pipeline: deployment.pipeline, stage: deployment.stage)
    }

    func contains(_ deployment: Deployment) -> Bool { StageName(of: deployment) == self }

    func contains(_ scale: Scale) -> Bool { scale.project == project && scale.pipeline == pipeline && scale.stage == stage }
}

extension PipelineEngine {
    /// The stage that is meant. Its pipeline may be left out while only one has a stage of that name.
    public func stage(_ stage: String, of project: String, pipeline: String?) async throws -> StageName {
        let all = try await overview(project: project)
        let found = all.filter { $0.plan.name == stage && (pipeline == nil || $0.pipeline == pipeline) }
        guard let only = found.first else {
            let known = Set(all.map(\.plan.name)).sorted().joined(separator: ", ")
            throw EngineError(
                .unknownStage, "'\(project)' has no stage '\(stage)'\(pipeline.map { " in its pipeline '\($0)'" } ?? "")",
                hint: all.isEmpty ? "a stage is known once a run has made a release for it" : "it has: \(known)")
        }
        guard found.count == 1 else {
            throw EngineError(
                .ambiguousStage, "\(found.count) pipelines of '\(project)' have a stage '\(stage)'",
                hint: "say which one with --pipeline: \(found.map(\.pipeline).joined(separator: ", "))")
        }
        return StageName(project: project, pipeline: only.pipeline, stage: stage)
    }
}
