public import DeliveryModel
public import OCIModel

/// A token: of a machine, which pulls from and pushes to some repositories, or of a person. Only its hash is kept.
public struct AccessToken: Codable, Hashable, Sendable {
    /// Unique among the tokens that exist.
    public var name: String
    /// The SHA-256 of the secret, in hexadecimal. The secret has 256 random bits: no salt, no slow hash.
    public var hash: String
    public var pull: [RepositoryPattern]
    /// Pushing and deleting; pulling with it.
    public var push: [RepositoryPattern]
    public var createdBy: String
    /// Seconds since 1970.
    public var createdAt: Double
    /// Nil: it does not expire.
    public var expiresAt: Double?
    /// Who holds it; nil: a machine, for the registry only.
    public var person: String?
    /// What the person may do with it.
    public var role: Role?

    public init(
        name: String, hash: String, pull: [RepositoryPattern], push: [RepositoryPattern], createdBy: String,
        createdAt: Double, expiresAt: Double? = nil, person: String? = nil, role: Role? = nil
    ) {
        self.name = name
        self.hash = hash
        self.pull = pull
        self.push = push
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.person = person
        self.role = role
    }

    /// A new secret, to be shown once, and its hash.
    public static func newSecret() -> (secret: String, hash: String) {
        let secret = "slipway_" + SecretBox.newToken()
        return (secret, hash(of: secret))
    }

    public static func hash(of secret: String) -> String { Digest.sha256(Array(secret.utf8)).hex }

    public func mayPull(_ repository: RepositoryName) -> Bool {
        pull.contains { $0.matches(repository) } || mayPush(repository)
    }

    public func mayPush(_ repository: RepositoryName) -> Bool { push.contains { $0.matches(repository) } }

    public func isExpired(at time: Double) -> Bool { expiresAt.map { $0 <= time } ?? false }
}
