/// What is asked of a service, in which shares.
public struct LoadMix: Sendable {
    public enum Kind: String, Codable, CaseIterable, Hashable, Sendable {
        /// GET over connections that are kept.
        case keepAlive
        /// GET with a connection of its own.
        case close
        /// POST of 1 MB.
        case upload
        /// An answer that takes 10 s.
        case slow
        /// Server-sent events for some seconds.
        case events
        /// A WebSocket that is open for some seconds, with an echo every half second.
        case webSocket

        /// Whether its time says something about the way there: the others take as long as they are meant to.
        public var isTimed: Bool { self == .keepAlive || self == .close || self == .upload }
    }

    public let shares: [(kind: Kind, share: Int)]
    /// Path of the plain questions.
    public let path: String
    /// The kinds of as many requests as the shares add up to, each spread evenly over them.
    private let turns: [Kind]

    /// - Parameter shares: of any sum up to some thousands.
    public init(shares: [(kind: Kind, share: Int)], path: String) {
        self.shares = shares
        self.path = path
        let sum = shares.reduce(0) { $0 + $1.share }
        // Each turn everybody gains its share, and whoever has most pays for the turn.
        var owned = shares.map { _ in 0 }
        turns = (0..<sum).compactMap { _ in
            for index in shares.indices { owned[index] += shares[index].share }
            guard let first = owned.indices.max(by: { owned[$0] < owned[$1] }) else { return nil }
            owned[first] -= sum
            return shares[first].kind
        }
    }

    /// GET only, which every service answers.
    public static func plain(path: String) -> LoadMix { LoadMix(shares: [(.keepAlive, 3), (.close, 1)], path: path) }

    /// Everything that examples/mix answers. Of a thousand: long ones are few, as each keeps a connection for seconds.
    public static let sample = LoadMix(
        shares: [(.keepAlive, 700), (.close, 250), (.upload, 20), (.slow, 10), (.events, 10), (.webSocket, 10)], path: "/")

    /// The kind of the request with this number: the same each time.
    public func kind(of number: Int) -> Kind { turns.isEmpty ? .keepAlive : turns[number % turns.count] }
}

/// When requests are due: at a fixed rate, however long the answers take. Times are measured from the moment that was
/// intended, so a server that makes requests wait is not spared the waiting (coordinated omission).
public struct LoadSchedule: Sendable {
    /// Requests a second.
    public var rate: Int

    public init(rate: Int) { self.rate = max(1, rate) }

    /// Seconds after the start.
    public func due(_ number: Int) -> Double { Double(number) / Double(rate) }

    /// How many are due by now, `seconds` after the start.
    public func count(after seconds: Double) -> Int { max(0, Int((seconds * Double(rate)).rounded(.down)) + 1) }
}
