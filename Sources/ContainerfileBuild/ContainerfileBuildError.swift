/// Why a build from a Containerfile ended: what, where in the file, and what the user can do.
public struct ContainerfileBuildError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        /// An option of the build, or a value an instruction expands to, cannot be used.
        case invalidValue
        /// A file, stage, image, secret or socket that an instruction names is not there.
        case notFound
        /// A name leads out of the build context.
        case outsideContext
        /// Files that an image cannot hold, or that contradict what is there.
        case invalidSource
        /// A command of a RUN ended with another status than 0.
        case commandFailed
        /// A RUN took longer than allowed.
        case timedOut
        /// Something from the network is not what the Containerfile says.
        case checksumMismatch
        /// Right, but not possible with this Slipway or on this machine.
        case unsupported
        /// The machine's part: disk, mounts.
        case failed
    }

    public let code: Code
    public let message: String
    /// What the user can do about it; may be empty.
    public let hint: String
    /// The Containerfile's path and line, from 1; nil when it is not about a line.
    public var file: String?
    public var line: Int?

    public init(_ code: Code, _ message: String, hint: String = "", file: String? = nil, line: Int? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
        self.file = file
        self.line = line
    }

    public var description: String {
        let place = file.map { $0 + (line.map { ":\($0)" } ?? "") + ": " } ?? ""
        return place + message + (hint.isEmpty ? "" : " (\(hint))")
    }
}
