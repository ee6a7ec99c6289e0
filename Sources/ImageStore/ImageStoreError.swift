/// What went wrong in the store, in a snapshot, or while importing or exporting an image.
public struct ImageStoreError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        /// The blob, manifest, tag or upload is not here.
        case notFound
        /// A manifest refers to content that its repository does not hold.
        case incomplete
        /// Bytes do not hash to the digest they were announced with.
        case digestMismatch
        /// A blob has another size than its descriptor says, or is larger than the caller allows.
        case sizeMismatch
        /// A stored blob no longer hashes to its name; it has been set aside.
        case corrupted
        /// An upload continued at another offset than its current end.
        case rangeNotSatisfiable
        /// Another caller writes to the same upload.
        case busy
        /// A manifest, config, index or layer that this code cannot read.
        case unsupported
        /// A layout or archive whose content contradicts itself.
        case invalidImage
        /// No image for this platform in an index.
        case platformNotFound
        /// The operating system refused a file operation.
        case fileSystem
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
