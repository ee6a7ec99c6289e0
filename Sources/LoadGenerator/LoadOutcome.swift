/// What became of one request.
public struct LoadOutcome: Hashable, Sendable {
    public enum End: Hashable, Sendable {
        case answered
        /// No whole answer, or one that says that the service failed: why.
        case failed(String)
        /// A WebSocket that was closed by the other side before its time.
        case cut
    }

    public var kind: LoadMix.Kind
    public var end: End
    /// When it was due and when it ended, in seconds after the start of the load.
    public var due: Double
    public var ended: Double
    /// What the answer says about the version that gave it; nil without such a field.
    public var version: String?
    /// Whether a kept connection was found closed, and another one was used.
    public var reconnected: Bool

    public init(kind: LoadMix.Kind, end: End, due: Double, ended: Double, version: String? = nil, reconnected: Bool = false) {
        self.kind = kind
        self.end = end
        self.due = due
        self.ended = ended
        self.version = version
        self.reconnected = reconnected
    }

    /// A status as users see it: 2xx and 3xx are answers; everything else is a failure, as nothing is asked that is not there.
    public static func end(status: Int) -> End { (200..<400).contains(status) ? .answered : .failed("status \(status)") }
}
