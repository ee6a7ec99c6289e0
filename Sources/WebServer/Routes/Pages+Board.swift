import DeliveryModel
import Hummingbird
import PipelineEngine
import PipelineFile
import StateStore

/// `/board`
extension Pages {
    func addBoardRoutes(to router: Router<WebContext>) {
        router.get("/board") { request, _ in try await reader(request) { try await board(request) } }
    }

    private func board(_ request: Request) async throws -> Response {
        var services: [(project: String, pipeline: String, stages: [StageOverview])] = []
        for project in try await parts.store.projects() {
            for stage in try await parts.engine.overview(project: project.name) {
                if services.last?.project == project.name, services.last?.pipeline == stage.pipeline {
                    services[services.count - 1].stages.append(stage)
                } else {
                    services.append((project.name, stage.pipeline, [stage]))
                }
            }
        }
        let columns = Self.columns(services.map { $0.stages.map(\.plan.name) })
        var rows: [BoardRow] = []
        for service in services {
            var cells: [BoardCell] = []
            for column in columns {
                var place: BoardCell.Place?
                if let stage = service.stages.first(where: { $0.plan.name == column }) { place = try await self.place(stage, service.project) }
                cells.append(BoardCell(stage: column, place: place))
            }
            rows.append(
                BoardRow(
                    project: service.project, pipeline: service.pipeline, train: service.stages.lazy.compactMap(\.plan.train).first, cells: cells))
        }
        let shell = try await shell("Board", [Crumb("Projects", url: "/"), Crumb("Board")], request, isLive: !rows.isEmpty)
        return html(renderer.render(BoardPage(shell: shell, stages: columns, rows: rows)))
    }

    private func place(_ stage: StageOverview, _ project: String) async throws -> BoardCell.Place {
        var place = BoardCell.Place(badge: StateBadge(state: stage.state), current: nil)
        if let live = stage.live, let release = stage.liveRelease { place.current = line(release, since: live.finishedAt ?? live.createdAt) }
        if let rollout = stage.rollout, let progress = try PipelineEngine.progress(of: rollout), progress.share > 0, rollout.phase != .reverting {
            place.share = percentText(progress.share)
        }
        // What is live and has nothing newer behind it has nothing to explain.
        if stage.rollout != nil || stage.waiting != nil || stage.failed != nil || stage.promotable != nil || stage.live == nil {
            let facts = try await parts.engine.facts(of: stage, project: project)
            if facts.isBehind { place.why = facts.obstacle }
        }
        if stage.promotable != nil || stage.waiting != nil {
            place.planURL = PageURL.plan(for: stage.plan.name, of: project, pipeline: stage.pipeline)
        }
        return place
    }

    /// The stages of all pipelines in one order that keeps that of each, as far as they agree.
    static func columns(_ lists: [[String]]) -> [String] {
        var columns: [String] = []
        for list in lists {
            var place = 0
            for name in list {
                if let known = columns.firstIndex(of: name) {
                    place = max(place, known + 1)
                } else {
                    columns.insert(name, at: place)
                    place += 1
                }
            }
        }
        return columns
    }
}
