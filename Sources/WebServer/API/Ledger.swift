public import DeliveryModel
import FoundationEssentials
import Hummingbird
import StateStore

/// A part of the ledger.
public struct LedgerValue: Codable, Sendable {
    public var records: [LedgerRecord]
    /// Pass it back as `after` to go on.
    public var next: Int64
    /// Nothing more will come.
    public var complete: Bool
}

/// `/api/v1/ledger`: `after`, `limit` and `project`; with `newest` the last ones.
func addLedgerAPI(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/api/v1/ledger") { request, _ -> Response in
        try await parts.access.requireReader(request)
        let query = request.uri.queryParameters
        let limit = min(max(query.get("limit", as: Int.self) ?? 500, 1), 1000)
        let project = query.get("project")
        if query["newest"] == "true" {
            let records = try await parts.store.newestLedger(project: project, limit: limit)
            return try json(LedgerValue(records: records, next: records.last?.entry.number ?? 0, complete: true))
        }
        let after = query.get("after", as: Int64.self) ?? 0
        let records = try await parts.store.ledger(project: project, after: after, limit: limit)
        return try json(
            LedgerValue(records: records, next: records.last?.entry.number ?? after, complete: records.count < limit))
    }
}
