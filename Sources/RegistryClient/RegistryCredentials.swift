import FoundationEssentials
public import SystemPackage

/// How to log in to a registry. Its description never shows the secret.
public enum RegistryCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// User and password: sent as Basic, or handed to the registry's token service.
    case basic(user: String, password: String)
    /// A ready token, sent with every request to the registry itself.
    case bearer(String)

    public var description: String {
        switch self {
        case .basic(let user, _): "user \(user)"
        case .bearer: "a token"
        }
    }

    public var debugDescription: String { description }
}

/// The credentials in a Docker `config.json`: its `auths` only, no credential helpers.
public struct DockerConfig: Sendable {
    private let entries: [String: RegistryCredentials]

    private struct File: Decodable {
        struct Entry: Decodable {
            let auth: String?
            let username: String?
            let password: String?
            let registrytoken: String?
        }
        let auths: [String: Entry]?
    }

    /// - Throws: ``RegistryError`` with code `invalidCredentials`; its message never quotes the file.
    public init(parsing bytes: [UInt8]) throws(RegistryError) {
        let file: File
        do { file = try JSONDecoder().decode(File.self, from: Data(bytes)) } catch {
            throw RegistryError(
                .invalidCredentials, "not a Docker config.json", hint: "write it with docker login or skopeo login")
        }
        var entries: [String: RegistryCredentials] = [:]
        for (key, entry) in file.auths ?? [:] {
            let host = Self.host(of: key)
            if let token = entry.registrytoken, !token.isEmpty {
                entries[host] = .bearer(token)
            } else if let user = entry.username, let password = entry.password {
                entries[host] = .basic(user: user, password: password)
            } else if let auth = entry.auth, !auth.isEmpty {
                guard let data = Data(base64Encoded: auth), let text = String(validating: data, as: UTF8.self),
                    let colon = text.firstIndex(of: ":")
                else {
                    throw RegistryError(
                        .invalidCredentials, "the entry for \(host) in config.json is not base64 of user:password",
                        hint: "log in to \(host) again")
                }
                let password = text[text.index(after: colon)...].filter { $0 != "\0" }
                entries[host] = .basic(user: String(text[..<colon]), password: String(password))
            }
        }
        self.entries = entries
    }

    /// Reads a file such as `~/.docker/config.json`; a missing file holds no credentials.
    public init(file: FilePath) throws(RegistryError) {
        var bytes: [UInt8] = []
        do {
            bytes = try FileBytes.read(file, limit: 1 << 20)
        } catch {
            guard (error as? Errno) == .noSuchFileOrDirectory else {
                throw RegistryError(.invalidCredentials, "cannot read \(file): \(error)", hint: "check its owner and mode")
            }
            bytes = Array("{}".utf8)
        }
        try self.init(parsing: bytes)
    }

    /// The credentials for `host[:port]`, if the file has any.
    public func credentials(for host: String) -> RegistryCredentials? { entries[Self.host(of: host)] }

    /// Keys are hosts, or addresses such as `https://index.docker.io/v1/`.
    private static func host(of key: String) -> String {
        var text = Substring(key)
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { text = text.dropFirst(scheme.count) }
        let host = text.prefix { $0 != "/" }.lowercased()
        return ["index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : host
    }
}
