import FoundationEssentials
public import GRDB
public import StateStore

extension NamedLease: FetchableRecord {}
extension Registration: FetchableRecord {}

/// What servers agree on among themselves.
extension SQLiteStore {
    public func claimLease(_ name: String, holder: String, leaseSeconds: Double) async throws -> NamedLease? {
        let now = clock()
        return try await write { db in
            try NamedLease.fetchOne(
                db,
                sql: """
                    INSERT INTO lease (name, holder, epoch, leaseExpiresAt) VALUES (:name, :holder, 1, :now + :seconds)
                    ON CONFLICT (name) DO UPDATE
                        SET holder = excluded.holder, epoch = lease.epoch + 1, leaseExpiresAt = excluded.leaseExpiresAt
                        WHERE lease.leaseExpiresAt <= :now
                    RETURNING *
                    """, arguments: ["name": name, "holder": holder, "now": now, "seconds": leaseSeconds])
        }
    }

    public func renewLease(_ name: String, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: "UPDATE lease SET leaseExpiresAt = ? WHERE name = ? AND epoch = ?", arguments: [now + leaseSeconds, name, epoch])
            return db.changesCount > 0
        }
    }

    public func register(folder: String, place: String, adopting: Bool) async throws -> Registration {
        let id = UUID().uuidString.lowercased()
        let owner = adopting ? "excluded.folder" : "installation.folder"
        let registration = try await write { db in
            try Registration.fetchOne(
                db,
                sql: """
                    INSERT INTO installation (one, folder, place, store) VALUES (1, :folder, :place, :id)
                    ON CONFLICT (one) DO UPDATE SET folder = \(owner),
                        place = CASE WHEN \(owner) = excluded.folder THEN excluded.place ELSE installation.place END
                    RETURNING *
                    """, arguments: ["folder": folder, "place": place, "id": id])
        }
        guard let registration else {
            throw StateError(.notFound, "the store does not say which data directory it belongs to", hint: "start the server again")
        }
        return registration
    }
}
