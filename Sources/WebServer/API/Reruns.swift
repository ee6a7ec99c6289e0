import Foundation
import HTTPTypes
import Hummingbird
import PipelineEngine
import StateStore

/// What `POST /api/v1/runs/<id>/rerun` takes; nothing of it is the whole run.
public struct RerunRequest: Codable, Sendable {
    /// Only what did not succeed, and what depends on it.
    public var failed: Bool?
    /// Only this step, and what depends on it.
    public var from: String?

    public init(failed: Bool? = nil, from: String? = nil) {
        self.failed = failed
        self.from = from
    }

    func scope() throws -> RerunScope {
        switch (failed ?? false, from) {
        case (false, nil): return .whole
        case (true, nil): return .failed
        case (false, .some(let step)): return .from(step)
        case (true, .some):
            throw RequestProblem(.badRequest, "'failed' and 'from' exclude each other", hint: "give one of them")
        }
    }
}

/// `POST /api/v1/runs/<id>/rerun`: 201 with the new run; 200 with the one that the same `Idempotency-Key` made before.
func addRerunAPI(to router: Router<WebContext>, _ parts: WebParts) {
    router.post("/api/v1/runs/:run/rerun") { request, context -> Response in
        let actor = try await parts.access.requireActor(request)
        let run = try await findRun(context, parts)
        let wanted = try await decodeBody(RerunRequest.self, request, ifEmpty: RerunRequest())
        let key = HTTPField.Name("Idempotency-Key").flatMap { request.headers[$0] } ?? UUID().uuidString
        let outcome = try await parts.engine.rerun(run, try wanted.scope(), key: key, by: actor)
        let (id, status): (Int64, HTTPResponse.Status) =
            switch outcome {
            case .created(let id): (id, .created)
            case .exists(let id): (id, .ok)
            }
        guard let again = try await parts.store.run(id) else {
            throw RequestProblem.unknown("run", "\(id)", hint: "was the project removed?")
        }
        var value = RunValue(again)
        value.steps = try await parts.engine.shownSteps(of: again).map(StepValue.init)
        return try json(value, status: status)
    }
}
