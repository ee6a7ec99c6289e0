import BlockingQueue
import CPostgres
import Glibc

/// How long things may take, in seconds.
struct PostgresTimeouts: Sendable {
    /// For each host of the URL; `connect_timeout` there wins.
    var connect = 5
    /// The server gives a statement up after this; the client a little later, when nothing comes any more.
    var statement = 30
    /// The server ends a transaction whose client does nothing for this long: a server that is frozen must not keep rows from others.
    var idle = 10
}

/// One connection to a database. Its methods block: call them on a ``BlockingQueue``.
///
/// `@unchecked Sendable`: libpq lets any thread use a connection as long as one does at a time (PostgreSQL, 34.20), and a
/// connection has one owner at a time, the body that borrowed it.
final class PostgresConnection: @unchecked Sendable {
    private let handle: OpaquePointer
    private let limit: Duration
    private var isLost = false

    /// Connects.
    init(_ address: PostgresAddress, timeouts: PostgresTimeouts, purpose: String = "slipway") throws(PostgresFailure) {
        // What comes before the URL may be set by it, what comes after may not.
        let settings = [
            ("connect_timeout", "\(timeouts.connect)"), ("application_name", purpose), ("keepalives_idle", "10"),
            ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "20000"),
            (
                "options",
                "-c statement_timeout=\(timeouts.statement)s -c idle_in_transaction_session_timeout=\(timeouts.idle)s -c synchronous_commit=on"
            ),
            ("dbname", address.url), ("client_encoding", "UTF8"),
        ]
        limit = .seconds(timeouts.statement + 5)
        guard let handle = Self.withStrings(settings, { PQconnectdbParams($0, $1, 1) }) else {
            throw PostgresFailure(message: "libpq has no memory", isLost: true, nothingHappened: true)
        }
        self.handle = handle
        guard PQstatus(handle) == CONNECTION_OK else {
            throw PostgresFailure(message: Self.message(handle), isLost: true, nothingHappened: true)
        }
        // Notices are for people at a terminal.
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
    }

    deinit { PQfinish(handle) }

    /// Between transactions, and not known to be broken.
    var isUsable: Bool { !isLost && PQstatus(handle) == CONNECTION_OK && PQtransactionStatus(handle) == PQTRANS_IDLE }

    /// Whether the server has closed an idle connection: then it has said so, and that waits to be read.
    func isClosedByServer() -> Bool {
        for _ in 0..<4 where isReadable(within: 0) {
            if PQconsumeInput(handle) == 0 { return true }
        }
        return PQstatus(handle) != CONNECTION_OK
    }

    /// Sends one statement with its parameters and waits for its rows.
    @discardableResult
    func run(_ statement: Statement, cancellation: Cancellation? = nil) throws(PostgresFailure) -> Rows {
        let (text, parameters) = statement.rendered
        guard send(text, parameters) else { throw failure(isLost: PQstatus(handle) != CONNECTION_OK) }
        try awaitAnswer(cancellation)
        guard let result = PQgetResult(handle) else { throw failure(isLost: true) }
        defer {
            PQclear(result)
            while !isLost, let rest = PQgetResult(handle) { PQclear(rest) }
        }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return try Rows(copying: result)
        case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE: throw failure(of: result)
        default:
            throw PostgresFailure(message: "the server answered with \(String(cString: PQresStatus(PQresultStatus(result))))")
        }
    }

    /// Several statements without parameters, as migrations are.
    func runScript(_ script: StaticString) throws(PostgresFailure) {
        guard let result = PQexec(handle, String(describing: script)) else { throw failure(isLost: true) }
        defer { PQclear(result) }
        guard PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK else {
            throw failure(of: result)
        }
    }

    /// Runs `body` in a transaction that is committed when it returns and undone when it throws.
    func transaction<T>(
        _ kind: Statement = "BEGIN ISOLATION LEVEL READ COMMITTED", _ body: (PostgresConnection) throws -> T
    ) throws -> T {
        do throws(PostgresFailure) {
            try run(kind)
        } catch {
            var failure = error
            failure.nothingHappened = true
            throw failure
        }
        do {
            let value = try body(self)
            try run("COMMIT")
            return value
        } catch {
            // When this fails too the connection is not used again, and the server undoes the transaction.
            if !isLost, PQtransactionStatus(handle) != PQTRANS_IDLE { _ = try? run("ROLLBACK") }
            throw error
        }
    }

    /// Waits until the server has something to say, at most `milliseconds`; returns whether a notification came.
    func waitForNotification(milliseconds: Int32) throws(PostgresFailure) -> Bool {
        guard isReadable(within: milliseconds) else { return false }
        guard PQconsumeInput(handle) == 1 else { throw failure(isLost: true) }
        var heard = false
        while let notification = PQnotifies(handle) {
            PQfreemem(notification)
            heard = true
        }
        return heard
    }

    // MARK: libpq

    private func send(_ text: String, _ parameters: [Parameter]) -> Bool {
        // One block of memory for all values, so that their addresses hold while libpq reads them.
        var block: [UInt8] = []
        var places: [Range<Int>?] = []
        for parameter in parameters {
            let bytes = parameter.bytes
            places.append(bytes.map { block.count..<(block.count + $0.count) })
            block += bytes ?? []
        }
        block.append(0)
        let types = parameters.map(\.type)
        let formats = parameters.map { Int32($0.isBinary ? 1 : 0) }
        let lengths = places.map { Int32($0?.count ?? 0) }
        return block.withUnsafeBytes { memory in
            let values = places.map { place in
                place.flatMap { memory.baseAddress?.advanced(by: $0.lowerBound).assumingMemoryBound(to: CChar.self) }
            }
            return PQsendQueryParams(handle, text, Int32(parameters.count), types, values, lengths, formats, 1) == 1
        }
    }

    /// Waits until a result can be taken without blocking. A caller that has gone gets a second, a silent server its limit.
    private func awaitAnswer(_ cancellation: Cancellation?) throws(PostgresFailure) {
        let deadline = ContinuousClock.now + limit
        var goneSince: ContinuousClock.Instant?
        while PQisBusy(handle) == 1 {
            if isReadable(within: 100) {
                guard PQconsumeInput(handle) == 1 else { throw failure(isLost: true) }
                continue
            }
            let now = ContinuousClock.now
            if now > deadline {
                isLost = true
                throw PostgresFailure(message: "no answer within \(limit)", isLost: true)
            }
            if cancellation?.isCancelled == true {
                if let since = goneSince, now - since > .seconds(1) {
                    isLost = true
                    throw PostgresFailure(message: "nobody waits for the answer any more", isLost: true)
                }
                goneSince = goneSince ?? now
            }
        }
    }

    private func isReadable(within milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        return entry.fd >= 0 && poll(&entry, 1, milliseconds) > 0
    }

    private func failure(isLost lost: Bool) -> PostgresFailure {
        isLost = isLost || lost
        return PostgresFailure(message: Self.message(handle), isLost: isLost)
    }

    private func failure(of result: OpaquePointer) -> PostgresFailure {
        if PQstatus(handle) != CONNECTION_OK { isLost = true }
        let state = Self.field("C", result)
        // The server ends the session after these (class 57P, FATAL), also when the socket does not tell yet.
        if let state, ["57P01", "57P02", "57P03", "57P05"].contains(state) { isLost = true }
        return PostgresFailure(
            message: Self.field("M", result) ?? Self.message(handle), sqlState: state, constraint: Self.field("n", result),
            isLost: isLost)
    }

    /// A field of an error, by its letter in the protocol (PostgreSQL, 55.8).
    private static func field(_ letter: Unicode.Scalar, _ result: OpaquePointer) -> String? {
        PQresultErrorField(result, Int32(letter.value)).map { String(cString: $0) }
    }

    private static func message(_ handle: OpaquePointer) -> String { String(cString: PQerrorMessage(handle)) }

    /// Two arrays of C strings, each with NULL at its end, for as long as `body` runs.
    private static func withStrings<R>(
        _ pairs: [(String, String)],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> R
    ) -> R {
        let keywords = pairs.map { strdup($0.0) }, values = pairs.map { strdup($0.1) }
        defer { for string in keywords + values { free(string) } }
        let keywordPointers = keywords.map { UnsafePointer($0) } + [nil]
        let valuePointers = values.map { UnsafePointer($0) } + [nil]
        return keywordPointers.withUnsafeBufferPointer { keywords in
            valuePointers.withUnsafeBufferPointer { values in
                // Neither is empty: both end with NULL.
                body(keywords.baseAddress.unsafelyUnwrapped, values.baseAddress.unsafelyUnwrapped)
            }
        }
    }
}
