import FoundationEssentials
public import StateStore

/// What servers agree on among themselves.
extension PostgresStore {
    public func claimLease(_ name: String, holder: String, leaseSeconds: Double) async throws -> NamedLease? {
        try await run(
            """
            INSERT INTO lease (name, holder, epoch, leaseExpiresAt)
            VALUES (\(name), \(holder), 1, \(Statement.now) + \(leaseSeconds))
            ON CONFLICT (name) DO UPDATE
                SET holder = excluded.holder, epoch = lease.epoch + 1, leaseExpiresAt = excluded.leaseExpiresAt
                WHERE lease.leaseExpiresAt <= \(Statement.now)
            RETURNING *
            """
        ).record()
    }

    public func renewLease(_ name: String, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        try await run(
            "UPDATE lease SET leaseExpiresAt = \(Statement.now) + \(leaseSeconds) WHERE name = \(name) AND epoch = \(epoch)"
        ).changed > 0
    }

    public func register(folder: String, place: String, adopting: Bool) async throws -> Registration {
        let owner: Statement = adopting ? "excluded.folder" : "installation.folder"
        let registration: Registration? = try await run(
            """
            INSERT INTO installation (one, folder, place, store) VALUES (1, \(folder), \(place), \(UUID().uuidString.lowercased()))
            ON CONFLICT (one) DO UPDATE SET folder = \(owner),
                place = CASE WHEN \(owner) = excluded.folder THEN excluded.place ELSE installation.place END
            RETURNING *
            """
        ).record()
        guard let registration else {
            throw StateError(.notFound, "the store does not say which data directory it belongs to", hint: "start the server again")
        }
        return registration
    }
}
