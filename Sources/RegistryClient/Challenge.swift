/// What a request needs to be allowed to do, as token scopes: `repository:<name>:pull,push`.
struct Scope: Sendable, Hashable {
    let resources: [String]

    static func pull(_ repository: String) -> Scope { Scope(resources: ["repository:\(repository):pull"]) }

    static func push(_ repository: String, mounting source: String? = nil) -> Scope {
        Scope(resources: ["repository:\(repository):pull,push"] + (source.map { ["repository:\($0):pull"] } ?? []))
    }
}

/// A `WWW-Authenticate` challenge (RFC 9110, section 11.6.1).
enum Challenge: Sendable, Equatable {
    case basic
    /// Fetch a token at `realm` (distribution's token authentication specification).
    case bearer(realm: String, service: String?)

    /// The first challenge we can answer; Bearer before Basic.
    init?(_ headers: [String]) {
        var sawBasic = false
        for header in headers {
            let scheme = header.prefix { $0 != " " }.lowercased()
            if scheme == "basic" { sawBasic = true }
            guard scheme == "bearer" else { continue }
            let fields = Self.parameters(header.dropFirst(scheme.count))
            guard let realm = fields["realm"] else { continue }
            self = .bearer(realm: realm, service: fields["service"])
            return
        }
        guard sawBasic else { return nil }
        self = .basic
    }

    /// `key="value with, commas",key=token`
    private static func parameters(_ text: Substring) -> [String: String] {
        var fields: [String: String] = [:]
        var rest = text
        while true {
            rest = rest.drop { $0 == " " || $0 == "," }
            let key = rest.prefix { $0 != "=" && $0 != "," }
            rest = rest.dropFirst(key.count)
            guard rest.first == "=" else { return fields }
            rest = rest.dropFirst()
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let character = rest.popFirst(), character != "\"" {
                    if character == "\\", let escaped = rest.popFirst() { value.append(escaped) } else { value.append(character) }
                }
            } else {
                value = String(rest.prefix { $0 != "," && $0 != " " })
                rest = rest.dropFirst(value.count)
            }
            fields[key.lowercased()] = value
        }
    }
}
