/// A value that does not follow the OCI specifications.
public struct OCIError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of value is wrong; callers switch on this, never on the message.
    public enum Code: String, Sendable {
        case invalidDigest, invalidRepository, invalidTag, invalidReference, invalidDocument
    }

    public let code: Code
    /// What was wrong, with the offending value.
    public let message: String
    /// What a user can do about it.
    public let hint: String

    public init(_ code: Code, _ message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    public var description: String { "\(message) (\(hint))" }
}
