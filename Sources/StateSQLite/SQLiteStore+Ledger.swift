public import DeliveryModel
import FoundationEssentials
import GRDB
import OCIModel
public import StateStore

extension SQLiteStore {
    public func ledger(project: String?, after number: Int64, limit: Int) async throws -> [LedgerRecord] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: "SELECT * FROM ledger WHERE number > :after AND (:project IS NULL OR project = :project) ORDER BY number LIMIT :limit",
                arguments: ["after": number, "project": project, "limit": limit]
            ).map(Self.record)
        }
    }

    public func newestLedger(project: String?, limit: Int) async throws -> [LedgerRecord] {
        try await read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM ledger WHERE :project IS NULL OR project = :project ORDER BY number DESC LIMIT :limit",
                arguments: ["project": project, "limit": limit]
            ).reversed().map(Self.record)
        }
    }

    private static func record(_ row: Row) throws -> LedgerRecord {
        let body: String = row["body"]
        return LedgerRecord(
            entry: try OCIJSON.decode(LedgerEntry.self, from: Array(body.utf8)), previous: row["previous"], hash: row["hash"])
    }

    public func time() async throws -> Double { clock() }

    public func hold(_ deployment: Deployment, until time: Double, reason: String, isFreeze: Bool) async throws -> Bool {
        let now = clock()
        return try await write { db in
            let held = try Deployment.fetchOne(
                db,
                sql: """
                    UPDATE deployment SET heldUntil = ?, heldFor = ?, leaseExpiresAt = 0, holder = NULL, startedAt = NULL, previous = NULL
                    WHERE id = ? AND epoch = ? AND phase = 'queued' AND train IS NULL AND (overriddenBy IS NULL OR NOT ?) RETURNING *
                    """, arguments: [time, reason, deployment.id, deployment.epoch, isFreeze])
            guard let held else { return false }
            if deployment.heldFor == reason { return true }
            try recordEvent(db, at: now, project: held.project, deployment: held.id, actor: "slipway", message: reason)
            return true
        }
    }

    public func noteSecrets(_ deployment: Deployment, versions: [String: String]) async throws {
        let text = String(decoding: try OCIJSON.encode(versions), as: UTF8.self)
        try await write {
            try $0.execute(
                sql: "UPDATE deployment SET secretVersions = ? WHERE id = ? AND epoch = ?", arguments: [text, deployment.id, deployment.epoch])
        }
    }

    public func overrideFreeze(deployment id: Int64, actor: String, reason: String) async throws -> Bool {
        let now = clock()
        return try await write { db in
            let overridden = try Deployment.fetchOne(
                db,
                sql: """
                    UPDATE deployment SET overriddenBy = ?, overrideReason = ?, heldUntil = NULL, heldFor = NULL
                    WHERE id = ? AND phase IN ('awaitingApproval', 'queued') AND overriddenBy IS NULL RETURNING *
                    """, arguments: [actor, reason, id])
            guard let deployment = overridden else { return false }
            try recordOverride(db, at: now, deployment)
            return true
        }
    }

    public func tags(project: String, commit: String) async throws -> [String] {
        try await read {
            try String.fetchAll(
                $0, sql: #"SELECT DISTINCT tag FROM delivery WHERE project = ? AND "commit" = ? AND tag IS NOT NULL ORDER BY tag"#,
                arguments: [project, commit])
        }
    }
}

/// Appends to the chain, within the transaction that did what the entry tells of. There is one writer.
func appendLedger(_ db: GRDB.Database, at: Double, _ entry: LedgerEntry) throws {
    let last = try Row.fetchOne(db, sql: "SELECT number, hash FROM ledger ORDER BY number DESC LIMIT 1")
    let record = try LedgerRecord(
        entry, number: (last?["number"] ?? 0) + 1, previous: last?["hash"] ?? LedgerRecord.genesis, at: Int64((at * 1000).rounded()))
    try db.execute(
        sql: "INSERT INTO ledger (number, project, body, previous, hash) VALUES (?, ?, ?, ?, ?)",
        arguments: [
            record.entry.number, record.entry.project, String(decoding: try OCIJSON.encode(record.entry), as: UTF8.self), record.previous,
            record.hash,
        ])
}

func commit(of deployment: Deployment, _ db: GRDB.Database) throws -> String? {
    try String.fetchOne(db, sql: #"SELECT "commit" FROM release WHERE id = ?"#, arguments: [deployment.release])
}

/// Tells of a deployment's new phase in the ledger, where that has a place there.
func appendLedger(_ db: GRDB.Database, at: Double, _ deployment: Deployment, from: RolloutPhase) throws {
    guard let kind = deployment.ledgerKind(from: from) else { return }
    let remark = [.failed, .reverted, .cancelled].contains(kind) ? deployment.message : nil
    try appendLedger(db, at: at, deployment.ledgerEntry(kind, actor: "slipway", commit: try commit(of: deployment, db), remark: remark))
}

/// Says who set a freeze aside.
func recordOverride(_ db: GRDB.Database, at: Double, _ deployment: Deployment) throws {
    let (actor, reason) = (deployment.overriddenBy ?? "", deployment.overrideReason ?? "")
    try recordEvent(
        db, at: at, project: deployment.project, deployment: deployment.id, actor: actor, message: "freeze set aside: \(reason)")
    try appendLedger(
        db, at: at, deployment.ledgerEntry(.override, actor: actor, commit: try commit(of: deployment, db), remark: reason))
}
