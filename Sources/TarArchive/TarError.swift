/// What went wrong while writing or reading an archive.
public struct TarError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        /// The archive is damaged, cut short, or not an archive of a kind we read.
        case invalidArchive
        /// An entry wants to leave the folder it is unpacked into, or names what cannot be named.
        case unsafeEntry
        /// More entries or bytes than the caller allows.
        case limitExceeded
        /// The uncompressed bytes do not hash to the expected diffID.
        case digestMismatch
        /// A source file vanished, changed while it was read, or is of a kind an image cannot hold.
        case invalidSource
        /// The operating system refused a file operation.
        case fileSystem
        /// A C library could not be set up.
        case unavailable
        /// A setting that does not exist or is out of range.
        case invalidOption
    }

    public let code: Code
    public let message: String
    /// What the user can do about it.
    public let hint: String

    public init(code: Code, message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    public var description: String { hint.isEmpty ? message : "\(message) (\(hint))" }
}
