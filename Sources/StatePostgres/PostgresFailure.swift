import StateStore

/// What libpq or the server said, as a value, made on the spot.
struct PostgresFailure: Error, CustomStringConvertible {
    /// The server's code (PostgreSQL, appendix A); nil when libpq itself failed.
    var sqlState: String?
    var message: String
    var constraint: String?
    /// The connection is of no use any more.
    var isLost = false
    /// Nothing can have come of what was asked.
    var nothingHappened = false

    init(
        message: String, sqlState: String? = nil, constraint: String? = nil, isLost: Bool = false, nothingHappened: Bool = false
    ) {
        self.sqlState = sqlState
        self.message = message
        self.constraint = constraint
        self.isLost = isLost
        self.nothingHappened = nothingHappened
    }

    var description: String {
        "PostgreSQL: \(message)" + (sqlState.map { " (\($0))" } ?? "") + "; this is a defect of Slipway, please report it"
    }

    var isUniqueViolation: Bool { sqlState == "23505" }
    var isForeignKeyViolation: Bool { sqlState == "23503" }
    /// Two transactions were in each other's way and this one was undone: it may be tried again as a whole.
    var isConflict: Bool { sqlState == "40001" || sqlState == "40P01" }

    /// What a user reads; a defect stays what it is.
    func explained(_ address: PostgresAddress) -> any Error {
        if isForeignKeyViolation {
            return StateError(.notFound, "what this belongs to is gone", hint: "was the project removed?")
        }
        guard isLost || isTrouble, let hint = hint(address) else { return self }
        return StateError(.unavailable, "PostgreSQL, \(address): \(address.redacted(message))", hint: hint)
    }

    /// Not about the statement: the server, its resources or what we may do there.
    private var isTrouble: Bool {
        guard let sqlState else { return isLost }
        let classes = ["08", "28", "3D", "3F", "40", "53", "57", "58"]
        return classes.contains(String(sqlState.prefix(2))) || ["25006", "42501", "55P03", "XX001", "XX002"].contains(sqlState)
    }

    private func hint(_ address: PostgresAddress) -> String? {
        switch sqlState {
        case "25006": "this server takes no writes; name the primary, or add target_session_attrs=read-write to the URL"
        case "42501", "3F000": "let the role own the database: ALTER DATABASE \(address.database) OWNER TO \(address.user)"
        case "53100": "the disk of the database server is full: make room there"
        case "53300": "raise max_connections of the server, or lower store_connections"
        case "XX001", "XX002": "what the database holds is damaged: restore it from a backup; the log of the database server tells more"
        case "57014", "55P03": "something holds its locks for long: see pg_stat_activity"
        case .some(let state) where state.hasPrefix("57"): "the server stops or starts; it is asked again"
        case .some: "the log of the database server tells more"
        case nil: Self.connectHint(message, address)
        }
    }

    /// What libpq says when it cannot connect carries no code.
    private static func connectHint(_ message: String, _ address: PostgresAddress) -> String {
        if message.contains("pg_hba.conf") {
            return "add a line for the role \(address.user), the database \(address.database) and this machine to pg_hba.conf, and reload"
        }
        if message.contains("authentication failed") || message.contains("no password supplied") {
            return "check user and password of the URL; set one with: ALTER ROLE \(address.user) PASSWORD '…'"
        }
        if message.contains("role \""), message.contains("does not exist") {
            return "create it as a superuser: CREATE ROLE \(address.user) LOGIN PASSWORD '…'"
        }
        if message.contains("database \""), message.contains("does not exist") {
            return "create it as a superuser: CREATE DATABASE \(address.database) OWNER \(address.user)"
        }
        if message.contains("SSL") || message.contains("certificate") {
            return "check sslmode, sslrootcert, sslcert and sslkey of the URL"
        }
        return "check that it runs, that host and port of the URL are right, and that listen_addresses and pg_hba.conf admit this machine"
    }
}
