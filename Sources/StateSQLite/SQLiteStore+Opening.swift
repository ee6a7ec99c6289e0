import GRDB
import Glibc
import StateStore
import SystemPackage

extension SQLiteStore {
    /// Files up to this size are looked through before anything is done with them; larger ones beside the work.
    private static let quickBytes: Int64 = 64 << 20

    /// Makes a new, empty store where there is none: whole, or not at all. So an empty file is never one that was just begun.
    static func makeIfMissing(_ file: FilePath) throws {
        guard try size(of: file) == nil else { return }
        let new = FilePath("\(file).new")
        for suffix in ["", "-wal", "-shm"] { unlink("\(new)\(suffix)") }
        let pool = try DatabasePool(path: new.string, configuration: configuration)
        try Migrations.all.migrate(pool)
        _ = try pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try pool.close()
        let made = try FileDescriptor.open(new, .readOnly, options: [.closeOnExec])
        try made.closeAfter { guard fsync(made.rawValue) == 0 else { throw Errno(rawValue: errno) } }
        guard rename(new.string, file.string) == 0 else { throw Errno(rawValue: errno) }
        let folder = try FileDescriptor.open(file.removingLastComponent(), .readOnly, options: [.directory, .closeOnExec])
        try folder.closeAfter { guard fsync(folder.rawValue) == 0 else { throw Errno(rawValue: errno) } }
    }

    /// Looks at the files before they are opened for writing: nothing is done to one that is damaged. The log beside the database comes first,
    /// as SQLite would take what is wrong with it for its end. All pages (`PRAGMA quick_check`) when the file is small.
    static func examine(_ file: FilePath) throws {
        let size = try size(of: file) ?? 0
        if size == 0 { throw StoreDamage.error(file, "it is empty (0 bytes)") }
        if let reason = try WriteAheadLog.damage(of: FilePath("\(file)-wal")) { throw StoreDamage.error(file, reason) }
        var reading = configuration
        reading.readonly = true
        let queue = try DatabaseQueue(path: file.string, configuration: reading)
        let problem = try queue.read { db in
            _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master")
            return size > quickBytes ? nil : try firstProblem(db)
        }
        try queue.close()
        if let problem { throw StoreDamage.error(file, problem) }
    }

    /// Looks through a large file beside the work, on a reader's connection.
    func inspectLater(_ file: FilePath) throws {
        guard try Self.size(of: file) ?? 0 > Self.quickBytes else { return }
        let damage = damage
        database.asyncRead { result in
            do { if let found = try Self.firstProblem(result.get()) { damage.record(found) } } catch { _ = damage.explained(error) }
        }
    }

    private static func firstProblem(_ db: GRDB.Database) throws -> String? {
        let found = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
        // Its first line says which database of the connection.
        return found == "ok" ? nil : found?.split(separator: "\n").last.map(String.init)
    }

    /// Times in the future that nobody can have meant: the clock was set back while no server ran. No other process has the file,
    /// so a lease is nobody's; a pause that was just begun must not last until the clock gets there again.
    func forgetTheFuture() throws {
        let now = clock()
        try database.write { db in
            for (table, isOpen) in Self.leased {
                try db.execute(sql: "UPDATE \(table) SET leaseExpiresAt = 0 WHERE leaseExpiresAt > ? AND \(isOpen)", arguments: [now + 600])
            }
            try db.execute(
                sql: "UPDATE delivery SET nextAttemptAt = :now WHERE state = 'received' AND nextAttemptAt > :now + 600",
                arguments: ["now": now])
            try db.execute(
                sql: "UPDATE outboxMessage SET nextAttemptAt = :now WHERE state = 'waiting' AND nextAttemptAt > :now + 86400",
                arguments: ["now": now])
        }
    }

    private static func size(of file: FilePath) throws -> Int64? {
        var status = stat()
        if stat(file.string, &status) == 0 { return Int64(status.st_size) }
        guard errno == ENOENT else { throw Errno(rawValue: errno) }
        return nil
    }
}
