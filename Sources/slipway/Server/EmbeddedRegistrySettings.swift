import Configuration
import ImageStore
import OCIModel
import RegistryServer

/// The embedded registry's settings, `registry.…`; docs/registry.md lists them.
struct EmbeddedRegistrySettings {
    var anonymousPull: Bool
    var limits: RegistryLimits
    /// Nil: no collection by itself.
    var collectEvery: Duration?
    var policy: CollectionPolicy

    static func read(_ reader: ConfigReader, readersNeedToken: Bool) throws -> EmbeddedRegistrySettings {
        let limits = RegistryLimits(
            blobBytes: try bytes("registry.limits.blob", reader), repositoryBytes: try bytes("registry.quota.repository", reader),
            totalBytes: try bytes("registry.quota.total", reader),
            concurrentUploads: min(max(reader.int(forKey: "registry.limits.uploads", default: 64), 1), 10_000),
            allowsSparse: reader.bool(forKey: "registry.sparse", default: false))
        let every = reader.string(forKey: "registry.gc.every", default: "6h")
        var policy = CollectionPolicy()
        policy.grace = try duration("registry.gc.grace", reader) ?? policy.grace
        policy.uploadExpiry = try duration("registry.limits.upload_expiry", reader) ?? policy.uploadExpiry
        policy.cacheExpiry = try duration("registry.gc.cache", reader) ?? policy.cacheExpiry
        policy.retention = try retention(reader)
        return EmbeddedRegistrySettings(
            anonymousPull: reader.bool(forKey: "registry.anonymous_pull", default: !readersNeedToken), limits: limits,
            collectEvery: every == "never" ? nil : try duration("registry.gc.every", text: every), policy: policy)
    }

    /// Rules for some repositories, then one for all others.
    private static func retention(_ reader: ConfigReader) throws -> [RetentionRule] {
        let key = "registry.retention.rules"
        var rules = try reader.stringArray(forKey: ConfigKey(key), default: []).map { try rule($0, key: key) }
        let last = reader.int(forKey: "registry.retention.keep_last")
        let age = try duration("registry.retention.keep_for", reader)
        if let last, last < 1 {
            throw Failure("registry.retention.keep_last: \(last) keeps nothing", hint: "write 1 or more", status: Failure.usage)
        }
        if last != nil || age != nil { rules.append(RetentionRule(repositories: .everything, keepLast: last, keepFor: age)) }
        return rules
    }

    /// `shop/* keep_last=10 keep_for=30d`
    static func rule(_ text: String, key: String) throws -> RetentionRule {
        let words = text.split(separator: " ").map { String($0) }
        let wrong = Failure(
            "\(key): '\(text)' is not a rule", hint: "write as in: shop/* keep_last=10 keep_for=30d", status: Failure.usage)
        guard let pattern = words.first, let repositories = try? RepositoryPattern(parsing: pattern) else { throw wrong }
        var rule = RetentionRule(repositories: repositories)
        for word in words.dropFirst() {
            let parts = word.split(separator: "=", maxSplits: 1)
            switch parts.first {
            case "keep_last" where parts.count == 2:
                guard let count = Int(parts[1]), count > 0 else { throw wrong }
                rule.keepLast = count
            case "keep_for" where parts.count == 2:
                guard let age = Quantities.duration(String(parts[1])) else { throw wrong }
                rule.keepFor = age
            default: throw wrong
            }
        }
        return rule
    }

    private static func bytes(_ key: String, _ reader: ConfigReader) throws -> Int64? {
        guard let text = reader.string(forKey: ConfigKey(key)) else { return nil }
        guard let bytes = Quantities.bytes(text) else {
            throw Failure("\(key): '\(text)' is not a size", hint: "write as in 500MB or 10GiB", status: Failure.usage)
        }
        return bytes
    }

    private static func duration(_ key: String, _ reader: ConfigReader) throws -> Duration? {
        try reader.string(forKey: ConfigKey(key)).map { try duration(key, text: $0) }
    }

    private static func duration(_ key: String, text: String) throws -> Duration {
        guard let duration = Quantities.duration(text) else {
            throw Failure("\(key): '\(text)' is not a duration", hint: "write as in 90s, 24h or 30d", status: Failure.usage)
        }
        return duration
    }
}
