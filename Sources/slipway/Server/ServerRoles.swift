/// What a server does: `web` answers pages, API, webhooks and registry; `worker` carries out runs and deployments and looks after
/// what is live.
struct ServerRoles: OptionSet, CustomStringConvertible {
    let rawValue: Int
    static let web = ServerRoles(rawValue: 1)
    static let worker = ServerRoles(rawValue: 2)
    static let all: ServerRoles = [.web, .worker]
    private static let names: [(String, ServerRoles)] = [("web", .web), ("worker", .worker)]

    init(rawValue: Int) { self.rawValue = rawValue }

    /// `web`, `worker`, or both with a comma between them.
    init(_ text: String) throws {
        var roles: ServerRoles = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            let name = word.trimmingPrefix { $0 == " " }.prefix { $0 != " " }
            guard let role = Self.names.first(where: { $0.0 == name })?.1 else {
                throw Failure(
                    "role: '\(text)' is unknown", hint: "write 'web', 'worker' or 'web,worker'", status: Failure.usage)
            }
            roles.insert(role)
        }
        self = roles
    }

    var description: String { Self.names.filter { contains($0.1) }.map(\.0).joined(separator: ",") }
}
