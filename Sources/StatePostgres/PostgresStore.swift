import BlockingQueue
public import StateStore

/// The store for several servers: a PostgreSQL database, spoken to by libpq.
///
/// Nothing is connected until the first call. While the database cannot be reached every call fails with
/// ``StateError`` `unavailable`, and works again once it can. The schema is made, and brought up to date, with the
/// first connection; a database that a newer Slipway has written fails with `newerSchema`.
public struct PostgresStore: StateStore {
    /// Text that names a PostgreSQL database, and not a file.
    public static func isURL(_ text: String) -> Bool { PostgresAddress.isURL(text) }

    public static let defaultConnections = 8

    let pool: ConnectionPool
    let listener: ChangeListener

    /// - Parameters:
    ///   - url: `postgres://…` with everything libpq understands (PostgreSQL, 34.1.1.2).
    ///   - connections: how many there may be at once, besides the one that listens.
    ///   - statementTimeout: after which a statement is given up.
    /// - Throws: ``StateError`` when the URL cannot be read.
    public init(
        url: String, connections: Int = defaultConnections, statementTimeout: Duration = .seconds(30)
    ) throws(StateError) {
        let address = try PostgresAddress(url)
        var timeouts = PostgresTimeouts()
        timeouts.statement = max(1, Int(statementTimeout.components.seconds))
        pool = ConnectionPool(address, width: connections, timeouts: timeouts)
        listener = ChangeListener(address, timeouts: timeouts)
    }

    /// Which database this is, without a password.
    public var place: String { pool.address.description }

    public func ping() async throws { try await read { _ = try $0.run("SELECT 1") } }

    public func changes() -> AsyncStream<Void> {
        let listener = listener
        return AsyncStream(unfolding: { await listener.next() })
    }

    /// One or more statements that only read, on one connection.
    func read<T: Sendable>(_ body: @escaping @Sendable (Session) throws -> T) async throws -> T {
        try await pool.use(reading: true) { try body(Session(connection: $0, cancellation: $1)) }
    }

    /// One statement: a transaction by itself.
    @discardableResult
    func run(_ statement: Statement) async throws -> Rows {
        try await pool.use { try $0.run(statement, cancellation: $1) }
    }

    /// Statements in one transaction.
    func write<T: Sendable>(_ body: @escaping @Sendable (Session) throws -> T) async throws -> T {
        try await pool.use { connection, cancellation in
            try connection.transaction { try body(Session(connection: $0, cancellation: cancellation)) }
        }
    }
}

/// A connection lent to the body of a transaction.
struct Session {
    let connection: PostgresConnection
    let cancellation: Cancellation

    @discardableResult
    func run(_ statement: Statement) throws(PostgresFailure) -> Rows {
        try connection.run(statement, cancellation: cancellation)
    }

    /// Tells the other servers, once this transaction is committed, that there may be work.
    func announce() throws(PostgresFailure) { try run(Statement.announcement) }

    /// Appends a line to what happened, within the transaction that made it happen.
    func recordEvent(
        project: String, run: Int64? = nil, deployment: Int64? = nil, actor: String, state: String? = nil, message: String
    ) throws(PostgresFailure) {
        try self.run(
            """
            INSERT INTO event (at, project, run, deployment, actor, state, message)
            VALUES (\(Statement.now), \(project), \(run), \(deployment), \(actor), \(state), \(message))
            """)
    }
}
