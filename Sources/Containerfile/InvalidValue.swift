/// A value that is not what an instruction needs; the word it comes from knows the place (``Word/expanded(in:as:)``).
public struct InvalidValue: Error, Sendable, Hashable {
    public let message: String
    /// What a user can do about it.
    public let hint: String

    init(_ message: String, hint: String) {
        self.message = message
        self.hint = hint
    }
}

extension Word {
    /// Expands and reads the value, as in `try word.expanded(in: variables, as: ModeChange.init(parsing:))`.
    public func expanded<Value>(
        in environment: [String: String], as parse: (String) throws(InvalidValue) -> Value
    ) throws(ContainerfileError) -> Value {
        let text = try expanded(in: environment)
        do { return try parse(text) } catch { throw self.error(.invalid, error.message, suggestion: error.hint) }
    }
}
