public import OCIModel

/// One thing that was done to what is delivered, and by whom. Entries are never changed or removed.
public struct LedgerEntry: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        /// A run made a release.
        case built
        case approved, rejected
        /// Nobody decided in time.
        case expired
        case begun, succeeded, failed
        /// The new version was taken back; the old one serves.
        case reverted
        /// A person ended it; the old version serves.
        case cancelled
        /// Somebody asked for what was there before.
        case rollback
        /// A freeze was set aside.
        case override
        /// Somebody ran a command in what is live.
        case command
    }

    /// From 1, without gaps.
    public var number: Int64
    /// Milliseconds since 1970, by the store's clock.
    public var at: Int64
    public var kind: Kind
    public var actor: String
    public var project: String
    public var pipeline: String
    public var stage: String?
    public var run: Int64?
    public var release: Int64
    public var deployment: Int64?
    public var commit: String?
    public var digest: Digest
    public var configuration: String?
    /// A comment, a reason, or why it failed.
    public var remark: String?

    public init(
        number: Int64 = 0, at: Int64 = 0, kind: Kind, actor: String, project: String, pipeline: String, stage: String? = nil, run: Int64? = nil,
        release: Int64, deployment: Int64? = nil, commit: String? = nil, digest: Digest, configuration: String? = nil, remark: String? = nil
    ) {
        self.number = number
        self.at = at
        self.kind = kind
        self.actor = actor
        self.project = project
        self.pipeline = pipeline
        self.stage = stage
        self.run = run
        self.release = release
        self.deployment = deployment
        self.commit = commit
        self.digest = digest
        self.configuration = configuration
        self.remark = remark
    }
}

/// An entry with its place in the chain: its hash is the SHA-256 of the hash before, a line feed and the entry as canonical JSON.
public struct LedgerRecord: Codable, Hashable, Sendable {
    /// What comes before the first entry.
    public static let genesis = Digest.sha256(Array("slipway ledger 1\n".utf8)).hex

    public var entry: LedgerEntry
    public var previous: String
    public var hash: String

    public init(entry: LedgerEntry, previous: String, hash: String) {
        self.entry = entry
        self.previous = previous
        self.hash = hash
    }

    /// The next record of a chain. Its number is one more than that of the last; `nil` begins a chain.
    public init(_ entry: LedgerEntry, after last: LedgerRecord?, at milliseconds: Int64) throws {
        try self.init(entry, number: (last?.entry.number ?? 0) + 1, previous: last?.hash ?? Self.genesis, at: milliseconds)
    }

    public init(_ entry: LedgerEntry, number: Int64, previous: String, at milliseconds: Int64) throws {
        var entry = entry
        entry.number = number
        entry.at = milliseconds
        self.init(entry: entry, previous: previous, hash: Self.hash(of: try OCIJSON.encode(entry), after: previous))
    }

    public static func hash(of entry: [UInt8], after previous: String) -> String {
        Digest.sha256(Array("\(previous)\n".utf8) + entry).hex
    }
}

/// An export: one record a line, and one line that says where the chain ends.
public struct LedgerEnd: Codable, Hashable, Sendable {
    public var entries: Int64
    /// The hash of the last entry.
    public var head: String

    public init(entries: Int64, head: String) {
        self.entries = entries
        self.head = head
    }
}

/// Follows a chain from its beginning, record by record.
public struct LedgerVerifier: Sendable {
    /// Where the chain does not fit.
    public struct Broken: Error, Hashable, Sendable {
        /// Which entry, or which line of a file, from 1.
        public var place: Int64
        public var reason: String
    }

    /// The end of what was seen.
    public private(set) var end = LedgerEnd(entries: 0, head: LedgerRecord.genesis)

    public init() {}

    public mutating func follow(_ record: LedgerRecord) throws {
        let place = end.entries + 1
        guard record.entry.number == place else {
            throw Broken(place: place, reason: "it has the number \(record.entry.number)")
        }
        guard record.previous == end.head else { throw Broken(place: place, reason: "it does not follow the entry before") }
        guard LedgerRecord.hash(of: try OCIJSON.encode(record.entry), after: record.previous) == record.hash else {
            throw Broken(place: place, reason: "it is not what its hash says")
        }
        end = LedgerEnd(entries: place, head: record.hash)
    }

    /// Verifies an export, byte by byte: what reads alike but is written otherwise does not pass.
    public static func verify(export bytes: [UInt8]) throws -> LedgerEnd {
        var verifier = LedgerVerifier()
        var lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
        let place = { Int64(lines.count) }
        guard let tail = lines.popLast(), tail.isEmpty, let last = lines.popLast() else {
            throw Broken(place: place(), reason: "the file does not end with a whole line")
        }
        for line in lines {
            let number = verifier.end.entries + 1
            let record = try read(LedgerRecord.self, line, number)
            try verifier.follow(record)
        }
        let end = try read(LedgerEnd.self, last, verifier.end.entries + 1)
        guard end == verifier.end else {
            throw Broken(place: verifier.end.entries + 1, reason: "the end says \(end.entries) entries and another last hash")
        }
        return end
    }

    private static func read<T: Codable>(_ type: T.Type, _ line: ArraySlice<UInt8>, _ place: Int64) throws -> T {
        guard let value = try? OCIJSON.decode(type, from: Array(line)) else {
            throw Broken(place: place, reason: "the line is not what an export has there")
        }
        guard try OCIJSON.encode(value).elementsEqual(line) else {
            throw Broken(place: place, reason: "the line is not written as an export writes it")
        }
        return value
    }
}
