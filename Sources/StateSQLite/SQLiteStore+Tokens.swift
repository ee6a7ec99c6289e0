import FoundationEssentials
public import GRDB
public import OCIModel
public import StateStore

extension AccessToken: FetchableRecord, PersistableRecord {}

extension SQLiteStore {
    public func add(_ token: AccessToken) async throws {
        do {
            try await write { try token.insert($0) }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
            throw StateError(
                .exists, "there is a token '\(token.name)' already",
                hint: "choose another name, or revoke that one with: slipway token revoke \(token.name)")
        }
    }

    public func tokens() async throws -> [AccessToken] {
        try await read { try AccessToken.fetchAll($0, sql: "SELECT * FROM accessToken ORDER BY name") }
    }

    public func token(hash: String) async throws -> AccessToken? {
        try await read { try AccessToken.fetchOne($0, sql: "SELECT * FROM accessToken WHERE hash = ?", arguments: [hash]) }
    }

    public func removeToken(_ name: String) async throws -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM accessToken WHERE name = ?", arguments: [name])
            return db.changesCount > 0
        }
    }

    public func digestsInUse() async throws -> Set<Digest> {
        try await read { db in
            try Digest.fetchSet(
                db,
                sql: """
                    SELECT digest FROM deployment WHERE phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')
                    UNION
                    SELECT digest FROM (
                        SELECT digest, row_number() OVER (PARTITION BY project, pipeline, stage ORDER BY max(id) DESC) AS age
                        FROM deployment WHERE phase = 'succeeded' GROUP BY project, pipeline, stage, digest)
                    WHERE age <= 3
                    UNION
                    SELECT digest FROM run WHERE digest IS NOT NULL AND state IN ('queued', 'running')
                    UNION
                    SELECT digest FROM release WHERE id IN (SELECT max(id) FROM release GROUP BY project, pipeline)
                    """)
        }
    }
}
