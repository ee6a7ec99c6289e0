import DeliveryModel
import Hummingbird
import OCIModel
import StateStore

/// `/ledger`
extension Pages {
    func addLedgerRoutes(to router: Router<WebContext>) {
        router.get("/ledger") { request, _ in try await reader(request) { try await ledger(request) } }
    }

    private func ledger(_ request: Request) async throws -> Response {
        let project = request.uri.queryParameters.get("project")
        let records = try await parts.store.newestLedger(project: project, limit: 200)
        var crumbs = [Crumb("Projects", url: "/")]
        if let project { crumbs.append(Crumb(project, url: PageURL.project(project))) }
        let shell = try await shell("Ledger", crumbs + [Crumb("Ledger")], request)
        return html(
            renderer.render(LedgerPage(shell: shell, head: records.last?.hash, entries: records.reversed().map { row($0.entry) })))
    }

    private func row(_ entry: LedgerEntry) -> LedgerRow {
        let badge =
            switch entry.kind {
            case .built: StateBadge(.neutral, "Built")
            case .approved: StateBadge(.success, "Approved")
            case .rejected: StateBadge(.failure, "Rejected")
            case .expired: StateBadge(.neutral, "Expired")
            case .begun: StateBadge(.neutral, "Begun")
            case .succeeded: StateBadge(.success, "Live")
            case .failed: StateBadge(.failure, "Failed")
            case .reverted: StateBadge(.failure, "Reverted")
            case .cancelled: StateBadge(.neutral, "Ended")
            case .rollback: StateBadge(.warning, "Roll back")
            case .override: StateBadge(.warning, "Override")
            case .command: StateBadge(.neutral, "Command")
            }
        return LedgerRow(
            number: entry.number, badge: badge, who: entry.actor, project: entry.project, stage: entry.stage,
            digest: entry.digest.description, commit: entry.commit ?? "", remark: entry.remark, at: time(Double(entry.at) / 1000))
    }
}
