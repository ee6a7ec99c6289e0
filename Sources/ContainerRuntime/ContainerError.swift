import SystemPackage

/// Why a container operation failed and what the user can do about it.
public struct ContainerError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case invalidSpec
        /// No container of that id.
        case notFound
        /// runc, conmon or a CNI plugin is not installed.
        case missingProgram
        /// The image has no such command, or it cannot be executed.
        case commandNotFound
        /// The image has no such user or group.
        case userNotFound
        case mountFailed
        case networkFailed
        case runtimeFailed
        case fileFailed
        case timedOut
        /// Another holder has taken over what the caller acts for, or it is over: see ``Fence``.
        case fenced
        /// Another process is in the middle of something; ask again later.
        case busy
    }

    public let code: Code
    public let message: String
    /// What the user can do; empty when there is nothing better to say.
    public let hint: String

    public init(_ code: Code, _ message: String, hint: String = "") {
        self.code = code
        self.message = message
        self.hint = hint
    }

    public var description: String { hint.isEmpty ? message : "\(message) (\(hint))" }
}

extension ContainerError {
    static func file(_ what: String, _ path: FilePath, _ cause: any Error) -> ContainerError {
        ContainerError(.fileFailed, "cannot \(what) \(path): \(cause)")
    }

    static func missing(_ program: String) -> ContainerError {
        ContainerError(
            .missingProgram, "\(program) is not installed or not executable",
            hint: "apt-get install runc conmon containernetworking-plugins")
    }

    static func notFound(_ id: String) -> ContainerError {
        ContainerError(.notFound, "no container \(id)", hint: "it was removed, or never started on this machine")
    }
}
