import OCIModel

/// What an instance is started with besides its image, as one digest: the frozen service definition, the stage's plan and
/// environment, and the secrets it names with their versions.
public enum Configuration {
    /// The digest of what is frozen in the release. Both are canonical JSON.
    public static func base(service: [UInt8], stage: [UInt8]) -> String {
        Digest.sha256(Array("slipway configuration 1\n".utf8) + service + [0x0a] + stage).description
    }

    /// - Parameter secrets: the sealed values by name, as they are now; sealing the same value again makes another version.
    public static func digest(base: String, secrets: [String: [UInt8]], names: [String]) -> String {
        var text = "\(base)\n"
        for name in Set(names).sorted() { text += "\(name) \(secrets[name].map(version) ?? "missing")\n" }
        return Digest.sha256(Array(text.utf8)).description
    }

    /// The version of a sealed secret.
    public static func version(_ sealed: [UInt8]) -> String { Digest.sha256(sealed).short }
}
