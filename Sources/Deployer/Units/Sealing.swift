/// Makes text unreadable for whoever has the disk and not the key.
public struct Sealing: Sendable {
    let seal: @Sendable (_ text: String, _ context: String) throws -> [UInt8]
    let open: @Sendable (_ sealed: [UInt8], _ context: String) throws -> String

    /// - Parameters:
    ///   - seal: `context` binds what is sealed to its place.
    ///   - open: throws when the text was sealed with another key, or for another place.
    public init(
        seal: @escaping @Sendable (_ text: String, _ context: String) throws -> [UInt8],
        open: @escaping @Sendable (_ sealed: [UInt8], _ context: String) throws -> String
    ) {
        self.seal = seal
        self.open = open
    }
}
