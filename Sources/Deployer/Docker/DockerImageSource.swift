import OCIModel

/// Where a host pulls an image from.
public struct DockerImageSource: Sendable {
    /// Registry and repository, as the host reaches it: `127.0.0.1:8080/shop/gtin`. A daemon speaks plain HTTP with loopback only.
    public var name: String
    public var login: Login?

    /// Its description never shows the password.
    public struct Login: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
        var user: String
        var password: String

        public init(user: String, password: String) {
            self.user = user
            self.password = password
        }

        public var description: String { "user \(user)" }
        public var debugDescription: String { description }
    }

    public init(name: String, login: Login? = nil) {
        self.name = name
        self.login = login
    }

    func reference(_ digest: Digest) -> String { "\(name)@\(digest)" }
    var registry: String { String(name.prefix { $0 != "/" }) }
}
