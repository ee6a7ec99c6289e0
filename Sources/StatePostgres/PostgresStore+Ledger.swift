public import DeliveryModel
import OCIModel
public import StateStore

extension PostgresStore {
    public func ledger(project: String?, after number: Int64, limit: Int) async throws -> [LedgerRecord] {
        try await read {
            try $0.run(
                """
                SELECT body, previous, hash FROM ledger
                WHERE number > \(number) AND (\(project) IS NULL OR project = \(project)) ORDER BY number LIMIT \(limit)
                """
            ).cells.map(Self.record)
        }
    }

    public func newestLedger(project: String?, limit: Int) async throws -> [LedgerRecord] {
        try await read {
            try $0.run(
                """
                SELECT body, previous, hash FROM ledger
                WHERE \(project) IS NULL OR project = \(project) ORDER BY number DESC LIMIT \(limit)
                """
            ).cells.reversed().map(Self.record)
        }
    }

    private static func record(_ row: [Cell]) throws -> LedgerRecord {
        guard case .text(let body) = row[0], case .text(let previous) = row[1], case .text(let hash) = row[2] else {
            throw PostgresFailure(message: "a row of the ledger holds no text")
        }
        return LedgerRecord(entry: try OCIJSON.decode(LedgerEntry.self, from: Array(body.utf8)), previous: previous, hash: hash)
    }

    public func time() async throws -> Double { try await read { try $0.time() } }

    public func hold(_ deployment: Deployment, until time: Double, reason: String, isFreeze: Bool) async throws -> Bool {
        try await write { session in
            let held: Deployment? = try session.run(
                """
                UPDATE deployment SET heldUntil = \(time), heldFor = \(reason), leaseExpiresAt = 0, holder = NULL, startedAt = NULL,
                    previous = NULL
                WHERE id = \(deployment.id) AND epoch = \(deployment.epoch) AND phase = 'queued' AND train IS NULL
                  AND (overriddenBy IS NULL OR NOT \(isFreeze)) RETURNING *
                """
            ).record()
            guard let held else { return false }
            if deployment.heldFor == reason { return true }
            try session.recordEvent(project: held.project, deployment: held.id, actor: "slipway", message: reason)
            return true
        }
    }

    public func noteSecrets(_ deployment: Deployment, versions: [String: String]) async throws {
        let text = String(decoding: try OCIJSON.encode(versions), as: UTF8.self)
        try await run(
            "UPDATE deployment SET secretVersions = \(text) WHERE id = \(deployment.id) AND epoch = \(deployment.epoch)")
    }

    public func overrideFreeze(deployment id: Int64, actor: String, reason: String) async throws -> Bool {
        try await write { session in
            let overridden: Deployment? = try session.run(
                """
                UPDATE deployment SET overriddenBy = \(actor), overrideReason = \(reason), heldUntil = NULL, heldFor = NULL
                WHERE id = \(id) AND phase IN ('awaitingApproval', 'queued') AND overriddenBy IS NULL RETURNING *
                """
            ).record()
            guard let deployment = overridden else { return false }
            try session.announce()
            try session.recordOverride(deployment)
            return true
        }
    }

    public func tags(project: String, commit: String) async throws -> [String] {
        try await run(
            """
            SELECT DISTINCT tag FROM delivery WHERE project = \(project) AND commit = \(commit) AND tag IS NOT NULL ORDER BY tag
            """
        ).texts
    }
}

extension Session {
    /// Held by whoever appends, until the end of the transaction: the chain must not fork. It is taken after everything else.
    private static let ledgerLock: Int64 = 0x736c_6970_6c65_64

    /// Appends to the chain, within the transaction that did what the entry tells of.
    func appendLedger(_ entry: LedgerEntry) throws {
        try run("SELECT pg_advisory_xact_lock(\(Self.ledgerLock))")
        var (number, previous): (Int64, String) = (0, LedgerRecord.genesis)
        if let row = try run("SELECT number, hash FROM ledger ORDER BY number DESC LIMIT 1").cells.first,
            case .integer(let last) = row[0], case .text(let hash) = row[1]
        {
            (number, previous) = (last, hash)
        }
        let record = try LedgerRecord(entry, number: number + 1, previous: previous, at: Int64((try time() * 1000).rounded()))
        let body = String(decoding: try OCIJSON.encode(record.entry), as: UTF8.self)
        try run(
            """
            INSERT INTO ledger (number, project, body, previous, hash)
            VALUES (\(record.entry.number), \(record.entry.project), \(body), \(record.previous), \(record.hash))
            """)
    }

    func commit(of deployment: Deployment) throws -> String? {
        try run("SELECT commit FROM release WHERE id = \(deployment.release)").texts.first
    }

    /// Tells of a deployment's new phase in the ledger, where that has a place there.
    func appendLedger(_ deployment: Deployment, from: RolloutPhase) throws {
        guard let kind = deployment.ledgerKind(from: from) else { return }
        let remark = [.failed, .reverted, .cancelled].contains(kind) ? deployment.message : nil
        try appendLedger(deployment.ledgerEntry(kind, actor: "slipway", commit: try commit(of: deployment), remark: remark))
    }

    /// Says who set a freeze aside.
    func recordOverride(_ deployment: Deployment) throws {
        let (actor, reason) = (deployment.overriddenBy ?? "", deployment.overrideReason ?? "")
        try recordEvent(
            project: deployment.project, deployment: deployment.id, actor: actor, message: "freeze set aside: \(reason)")
        try appendLedger(deployment.ledgerEntry(.override, actor: actor, commit: try commit(of: deployment), remark: reason))
    }
}
