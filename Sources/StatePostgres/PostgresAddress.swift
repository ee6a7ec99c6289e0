import CPostgres
import StateStore

/// Where a database is, as libpq reads it from a URL or from `key=value` words; what it prints holds no password.
struct PostgresAddress: Sendable, CustomStringConvertible {
    /// For libpq alone.
    let url: String
    let host: String
    let port: String
    let database: String
    let user: String
    private let secrets: [String]

    /// Whether a store's address names PostgreSQL rather than a file.
    static func isURL(_ text: String) -> Bool { text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") }

    /// - Throws: `unavailable` with what to write. The text is not repeated: it may hold a password.
    init(_ url: String) throws(StateError) {
        let unreadable = StateError(
            .unavailable, "the URL of the PostgreSQL store cannot be read",
            hint: "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 for @, %2F for / and %3A for : within the password")
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url, &message) else {
            if let message { PQfreemem(message) }
            throw unreadable
        }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        // What the URL leaves out comes from the environment and the name of the user.
        if let defaults = PQconndefaults() {
            values = Self.values(defaults)
            PQconninfoFree(defaults)
        }
        values.merge(Self.values(options)) { $1 }
        let ports = values["port"]?.split(separator: ",", omittingEmptySubsequences: false) ?? []
        // A password that was not encoded spills into host and port.
        guard ports.allSatisfy({ $0.isEmpty || (Int($0).map { (1...65535).contains($0) } ?? false) }),
            values["host"]?.contains("@") != true
        else { throw unreadable }
        self.url = url
        host = values["hostaddr"] ?? values["host"] ?? ""
        port = values["port"] ?? ""
        user = values["user"] ?? "slipway"
        database = values["dbname"] ?? user
        secrets = ["password", "sslpassword"].compactMap { values[$0] }.filter { !$0.isEmpty }
    }

    /// The values that are set, by keyword.
    private static func values(_ options: UnsafeMutablePointer<PQconninfoOption>) -> [String: String] {
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }

    var description: String {
        let place = host.isEmpty ? "this machine" : host + (port.isEmpty ? "" : ":\(port)")
        return "database \(database) at \(place)"
    }

    /// A message in one line, without what must stay secret.
    func redacted(_ message: String) -> String {
        let line = message.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix(while: \.isWhitespace) }.joined(separator: "; ")
        return secrets.reduce(line) { $0.replacing($1, with: "…") }
    }
}
