import Foundation
import SystemPackage

/// A server's place among those of a data directory: `servers/<number>`, locked as long as the server lives. So no two that live
/// have one name, and whoever can lock a place that has a name in it knows that its server is dead.
struct ServerPlace {
    /// What stands in the file.
    private struct Card: Codable {
        var holder: String
        var pid: Int32
        var host: String
        /// The data directory as it sees it.
        var data: String
        var roles: String
        /// Which store it uses, once it knows.
        var store: String?
        /// Whoever clears up behind a dead server holds its place too.
        var isDead: Bool?
    }

    /// Why a server cannot be one of those that live.
    enum Conflict: Equatable {
        case store(of: Int)
        /// Locks and control groups of containers are named for their path.
        case path(String, of: Int)
        case machine(String, of: Int)
    }

    private static let most = 64

    let number: Int
    /// The server's name in leases.
    let holder: String
    private let folder: FilePath
    private let lock: FileDescriptor
    private let mine: Card

    /// Takes the first place that is free, and whose last server had the same name.
    init(in data: FilePath, roles: ServerRoles) throws {
        let host = ProcessInfo.processInfo.hostName
        let folder = Self.folder(data)
        for number in 1...Self.most {
            let holder = "\(host):\(data)#\(number)"
            guard let lock = try Self.patientLock(folder.appending("\(number)")) else { continue }
            // What another one was killed with is given back by whoever watches.
            guard try Self.card(lock).map({ $0.holder == holder }) ?? true else {
                try lock.close()
                continue
            }
            (self.number, self.holder, self.folder, self.lock) = (number, holder, folder, lock)
            mine = Card(holder: holder, pid: getpid(), host: host, data: data.string, roles: "\(roles)")
            try Self.write(mine, to: lock)
            return
        }
        throw Failure("\(Self.most) servers use the data directory \(data)", hint: "stop some of them")
    }

    /// Says which store this server uses, and why it cannot do so beside the servers that live.
    func use(store: String) throws -> Conflict? {
        var mine = mine
        mine.store = store
        try Self.write(mine, to: lock)
        let works = try ServerRoles(mine.roles).contains(.worker)
        for number in try Self.numbers(in: folder) where number != self.number {
            let file = folder.appending("\(number)")
            if let dead = try Self.lock(file) {
                try dead.close()
                continue
            }
            let other = try FileDescriptor.open(file, .readOnly, options: [.closeOnExec])
            guard let card = try other.closeAfter({ try Self.card(other) }), card.isDead != true else { continue }
            if let its = card.store, its != store { return .store(of: number) }
            guard works, try ServerRoles(card.roles).contains(.worker) else { continue }
            if card.host != mine.host { return .machine(card.host, of: number) }
            if card.data != mine.data { return .path(card.data, of: number) }
        }
        return nil
    }

    /// The servers that died and whose places nobody has taken since. Blocking.
    func dead() throws -> [DeadServer] {
        try Self.numbers(in: folder).compactMap { number in
            guard number != self.number, let lock = try Self.lock(folder.appending("\(number)")) else { return nil }
            guard var card = try Self.card(lock) else {
                try lock.close()
                return nil
            }
            card.isDead = true
            try Self.write(card, to: lock)
            return DeadServer(holder: card.holder, lock: lock)
        }
    }

    /// Runs `body` while no other server of the data directory does the like. Blocking.
    static func alone<T>(in data: FilePath, _ body: () throws -> T) throws -> T {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            if let lock = try Self.lock(folder(data).appending("first")) { return try lock.closeAfter(body) }
            guard ContinuousClock.now < deadline else {
                throw Failure(
                    "another server with the data directory \(data) has been starting for 20 s",
                    hint: "is it stopped, by SIGSTOP or a debugger? let it go on, or end it")
            }
            usleep(5_000)
        }
    }

    private static func folder(_ data: FilePath) -> FilePath { data.appending("servers") }

    private static func numbers(in folder: FilePath) throws -> [Int] {
        try FileManager.default.contentsOfDirectory(atPath: folder.string).compactMap { Int($0) }.sorted()
    }

    /// Whoever watches has a free place for a moment.
    private static func patientLock(_ file: FilePath) throws -> FileDescriptor? {
        for _ in 0..<3 {
            if let lock = try lock(file) { return lock }
            usleep(1_000)
        }
        return nil
    }

    /// Nil when another process has it.
    private static func lock(_ file: FilePath) throws -> FileDescriptor? {
        try FileManager.default.createDirectory(
            atPath: file.removingLastComponent().string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let descriptor = try FileDescriptor.open(
            file, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
        if flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 { return descriptor }
        try descriptor.close()
        return nil
    }

    /// Nil when nobody left its name.
    private static func card(_ file: FileDescriptor) throws -> Card? {
        var bytes = [UInt8](repeating: 0, count: 8 << 10)
        let count = try bytes.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: 0, into: $0) }
        return try? JSONDecoder().decode(Card.self, from: Data(bytes[..<count]))
    }

    private static func write(_ card: Card, to file: FileDescriptor) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(card))
        guard ftruncate(file.rawValue, 0) == 0 else { throw Errno(rawValue: errno) }
        _ = try file.writeAll(toAbsoluteOffset: 0, bytes)
    }
}

/// A server that died, with its place held: nobody else clears up behind it meanwhile, and no new server takes its name.
struct DeadServer {
    let holder: String
    let lock: FileDescriptor

    /// Everything it had is given back.
    func forget() throws {
        try lock.closeAfter { guard ftruncate(lock.rawValue, 0) == 0 else { throw Errno(rawValue: errno) } }
    }

    /// Somebody will try again.
    func leave() throws { try lock.close() }
}
