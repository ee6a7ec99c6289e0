import DeliveryModel
import FoundationEssentials
public import OCIModel
public import StateStore

extension PostgresStore {
    public func add(_ token: AccessToken) async throws {
        let pull = String(decoding: try JSONEncoder().encode(token.pull), as: UTF8.self)
        let push = String(decoding: try JSONEncoder().encode(token.push), as: UTF8.self)
        let added = try await run(
            """
            INSERT INTO accessToken (name, hash, pull, push, createdBy, createdAt, expiresAt, person, role)
            VALUES (\(token.name), \(token.hash), \(pull), \(push), \(token.createdBy), \(token.createdAt), \(token.expiresAt),
                \(token.person), \(token.role?.rawValue))
            ON CONFLICT DO NOTHING
            """)
        if added.changed == 0 {
            throw StateError(
                .exists, "there is a token '\(token.name)' already",
                hint: "choose another name, or revoke that one with: slipway token revoke \(token.name)")
        }
    }

    public func tokens() async throws -> [AccessToken] {
        try await read { try $0.run(#"SELECT * FROM accessToken ORDER BY name COLLATE "C""#).records() }
    }

    public func token(hash: String) async throws -> AccessToken? {
        try await read { try $0.run("SELECT * FROM accessToken WHERE hash = \(hash)").record() }
    }

    public func removeToken(_ name: String) async throws -> Bool {
        try await run("DELETE FROM accessToken WHERE name = \(name)").changed > 0
    }

    public func digestsInUse() async throws -> Set<Digest> {
        try await read { session in
            let rows = try session.run(
                """
                SELECT digest FROM deployment WHERE phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')
                UNION
                SELECT digest FROM (
                    SELECT digest, row_number() OVER (PARTITION BY project, pipeline, stage ORDER BY max(id) DESC) AS age
                    FROM deployment WHERE phase = 'succeeded' GROUP BY project, pipeline, stage, digest) AS aged
                WHERE age <= 3
                UNION
                SELECT digest FROM run WHERE digest IS NOT NULL AND state IN ('queued', 'running')
                UNION
                SELECT digest FROM release WHERE id IN (SELECT max(id) FROM release GROUP BY project, pipeline)
                """)
            return Set(try rows.texts.map { try Digest(parsing: $0) })
        }
    }
}
