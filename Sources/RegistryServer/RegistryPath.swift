import OCIModel

/// What a path below `/v2/` names. Repository names hold slashes, so a path is read from its end.
enum RegistryPath: Sendable, Equatable {
    enum Reference: Sendable, Equatable {
        case tag(Tag)
        case digest(Digest)
    }

    case base
    case catalog
    case manifest(RepositoryName, Reference)
    case blob(RepositoryName, Digest)
    case uploads(RepositoryName)
    case upload(RepositoryName, ticket: String)
    case tags(RepositoryName)
    case referrers(RepositoryName, Digest)

    /// Parses a request path. Nil: no such resource in the distribution-spec.
    init?(_ path: String) throws {
        guard path == "/v2" || path.hasPrefix("/v2/"), let decoded = Self.decode(path.dropFirst(3)) else { return nil }
        var parts = decoded.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { String($0) }
        if parts.last == "" { parts.removeLast() }
        guard let last = parts.last else {
            self = .base
            return
        }
        if parts.count == 1, last == "_catalog" {
            self = .catalog
            return
        }
        let kind = parts.dropLast().last
        func name(dropping count: Int) throws -> RepositoryName {
            try RepositoryName(parsing: parts.dropLast(count).joined(separator: "/"))
        }
        if kind == "blobs", last == "uploads" {
            self = .uploads(try name(dropping: 2))
        } else if kind == "uploads", parts.dropLast(2).last == "blobs" {
            self = .upload(try name(dropping: 3), ticket: last)
        } else if kind == "blobs" {
            self = .blob(try name(dropping: 2), try Digest(parsing: last))
        } else if kind == "manifests" {
            let reference: Reference =
                last.contains(":") ? .digest(try Digest(parsing: last)) : .tag(try Tag(parsing: last))
            self = .manifest(try name(dropping: 2), reference)
        } else if kind == "tags", last == "list" {
            self = .tags(try name(dropping: 2))
        } else if kind == "referrers" {
            self = .referrers(try name(dropping: 2), try Digest(parsing: last))
        } else {
            return nil
        }
    }

    var repository: RepositoryName? {
        switch self {
        case .base, .catalog: nil
        case .manifest(let name, _), .blob(let name, _), .uploads(let name), .upload(let name, _), .tags(let name),
            .referrers(let name, _):
            name
        }
    }

    /// Undoes `%XX`; clients may write the colon of a digest as `%3A`.
    private static func decode(_ path: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = path.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(Substring(rest.prefix(2)), radix: 16) else { return nil }
            rest = rest.dropFirst(2)
            bytes.append(value)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
