import OCIModel
import RegistryServer

/// One thing a client asks to be allowed: `repository:shop/gtin:pull,push` (Docker's token scope documentation).
struct RegistryScope: Equatable, Sendable {
    let repository: RepositoryName
    let actions: Set<String>

    /// Nil for other types of resources, which this registry has none of, and for what is malformed.
    init?(_ text: Substring) {
        guard let colon = text.lastIndex(of: ":"), let first = text.firstIndex(of: ":"), first < colon,
            // `repository(plugin)` and the like name the same repositories.
            text[..<first].prefix(while: { $0 != "(" }) == "repository",
            let name = try? RepositoryName(parsing: String(text[text.index(after: first)..<colon]))
        else { return nil }
        repository = name
        actions = Set(text[text.index(after: colon)...].split(separator: ",").map { String($0) })
    }

    /// All scopes of a query: several parameters, each with one or more separated by spaces. Bounded.
    static func parse(_ parameters: [Substring]) -> [RegistryScope] {
        parameters.prefix(32).flatMap { $0.split(separator: " ").prefix(32) }.prefix(64).compactMap { RegistryScope($0) }
    }

    /// The actions that are both asked for and allowed, in the words of the specification.
    func granted(pull: Bool, push: Bool) -> [String] {
        let all = actions.contains("*")
        var granted: [String] = []
        if push, all || actions.contains("delete") { granted.append("delete") }
        if pull, all || actions.contains("pull") { granted.append("pull") }
        if push, all || actions.contains("push") { granted.append("push") }
        return granted
    }
}
