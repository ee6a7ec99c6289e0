import FoundationEssentials
public import SystemPackage

/// The logins in a Docker `config.json`: its `auths`, and the programs that keep them (`credHelpers`, `credsStore`).
public struct DockerConfig: Sendable {
    private let entries: [String: RegistryCredentials]
    private let helpers: [String: String]
    private let store: String?
    private let helperPath: String
    private let helperTimeout: Duration

    private struct File: Decodable {
        struct Entry: Decodable {
            let auth: String?
            let username: String?
            let password: String?
            let identitytoken: String?
            let registrytoken: String?
        }
        let auths: [String: Entry]?
        let credHelpers: [String: String]?
        let credsStore: String?
    }

    /// - Parameters:
    ///   - helperPath: where credential helpers are looked for, as in `PATH`.
    ///   - helperTimeout: how long one may take.
    /// - Throws: ``RegistryError`` with code `invalidCredentials`; its message never quotes the file.
    public init(
        parsing bytes: [UInt8], helperPath: String = DockerConfig.usualPath, helperTimeout: Duration = .seconds(20)
    ) throws(RegistryError) {
        let file: File
        do { file = try JSONDecoder().decode(File.self, from: Data(bytes)) } catch {
            throw RegistryError(
                .invalidCredentials, "not a Docker config.json", hint: "write it with docker login or skopeo login")
        }
        var entries: [String: RegistryCredentials] = [:]
        for (key, entry) in file.auths ?? [:] { entries[Self.host(of: key)] = try Self.login(entry, Self.host(of: key)) }
        self.entries = entries
        helpers = Dictionary((file.credHelpers ?? [:]).map { (Self.host(of: $0.key), $0.value) }) { first, _ in first }
        store = file.credsStore.flatMap { $0.isEmpty ? nil : $0 }
        (self.helperPath, self.helperTimeout) = (helperPath, helperTimeout)
    }

    public static let usualPath = "/usr/local/bin:/usr/bin:/bin"

    private static func login(_ entry: File.Entry, _ host: String) throws(RegistryError) -> RegistryCredentials? {
        if let token = entry.registrytoken, !token.isEmpty { return .bearer(token) }
        if let token = entry.identitytoken, !token.isEmpty { return .identityToken(token) }
        if let user = entry.username, let password = entry.password { return .basic(user: user, password: password) }
        guard let auth = entry.auth, !auth.isEmpty else { return nil }
        guard let data = Data(base64Encoded: auth), let text = String(validating: data, as: UTF8.self),
            let colon = text.firstIndex(of: ":")
        else {
            throw RegistryError(
                .invalidCredentials, "the entry for \(host) in config.json is not base64 of user:password",
                hint: "log in to \(host) again")
        }
        let password = text[text.index(after: colon)...].filter { $0 != "\0" }
        return .basic(user: String(text[..<colon]), password: String(password))
    }

    /// Reads a file such as `~/.docker/config.json`; a missing file holds no credentials.
    public init(
        file: FilePath, helperPath: String = DockerConfig.usualPath, helperTimeout: Duration = .seconds(20)
    ) throws(RegistryError) {
        var bytes: [UInt8] = []
        do { bytes = try FileBytes.read(file, limit: 1 << 20) } catch {
            guard (error as? Errno) == .noSuchFileOrDirectory else {
                throw RegistryError(.invalidCredentials, "cannot read \(file): \(error)", hint: "check its owner and mode")
            }
            bytes = Array("{}".utf8)
        }
        try self.init(parsing: bytes, helperPath: helperPath, helperTimeout: helperTimeout)
    }

    /// The login for `host[:port]`: of its credential helper, else of the file. Nil: there is none.
    ///
    /// - Throws: ``RegistryError`` with code `invalidCredentials` when a helper is missing, fails or hangs.
    public func login(at host: String) async throws -> RegistryCredentials? {
        let key = Self.host(of: host)
        if let name = helpers[key] ?? store {
            let helper = CredentialHelper(name: name, path: helperPath, timeout: helperTimeout)
            let server = key == "docker.io" ? "https://index.docker.io/v1/" : host
            if let login = try await helper.login(at: server) { return login }
        }
        return entries[key]
    }

    /// The credentials for `host[:port]` that the file itself has, if any.
    public func credentials(for host: String) -> RegistryCredentials? { entries[Self.host(of: host)] }

    /// Keys are hosts, or addresses such as `https://index.docker.io/v1/`.
    private static func host(of key: String) -> String {
        var text = Substring(key)
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { text = text.dropFirst(scheme.count) }
        let host = text.prefix { $0 != "/" }.lowercased()
        return ["index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : host
    }
}
