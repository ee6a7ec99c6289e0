/// What went wrong while placing instances or steering traffic to them.
public struct DeployerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure; callers switch on this, never on the message.
    public enum Code: String, Sendable {
        /// A host name, address, port, key or folder that must not reach a router or a target.
        case invalidValue
        /// Another route already answers for this host name.
        case hostTaken
        /// Another server has taken the deployment over, or a later deployment the route, or it is over: see ``Claim`` and ``RouteFence``.
        case staleHolder
        /// The reverse proxy program is not installed.
        case routerMissing
        /// The router's address is in use by another program.
        case portTaken
        /// The router refused the new configuration; the old one stays in force.
        case configurationRefused
        /// The router did not start, reload or answer in time.
        case routerNotReady
        /// A file of ours could not be read or written.
        case stateUnusable
        /// A host of a target does not answer, or not as expected.
        case targetUnreachable
        /// A stage names a target that the server does not have.
        case unknownTarget
        /// An instance could not be started, or another deployment owns its name.
        case instanceFailed
        /// The machine's systemd does not do what is needed, or does not run.
        case unitFailed
        /// The rollout may not make this step from this phase.
        case illegalTransition
        /// Another process is in the middle of something; try again later.
        case busy
    }

    public let code: Code
    /// What happened, with the value concerned.
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
