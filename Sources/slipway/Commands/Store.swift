import ArgumentParser
import BlockingQueue
import Foundation
import StateSQLite
import StateStore
import SystemPackage

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Look after what the server remembers: upgrade, back up, restore, move.",
        discussion: """
            The store is the one the server uses: --config, SLIPWAY_STORE, or slipway.db in the data directory. Images, \
            containers and secrets.key are not in it.
            """,
        subcommands: [Migrate.self, Backup.self, Restore.self, Copy.self, Adopt.self])

    /// Which store, said as for the server.
    struct Options: ParsableArguments {
        @Option(help: "The configuration file, slipway.yaml.") var config: String?
        @Option(help: "The data directory.") var data: String?

        func location() async throws -> StoreLocation {
            try await ServerSettings.read(file: config, data: data, listen: nil, routerPort: nil).store
        }
    }

    struct Migrate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring the store's tables up to date, as every start of the server does.",
            discussion: "Example: SLIPWAY_STORE=postgres://slipway@db.example.org/slipway slipway store migrate")
        @OptionGroup var options: Options

        func run() async throws {
            let location = try await options.location()
            let lock = try location.lock()
            try await explained { try await location.open().ping() }
            withExtendedLifetime(lock) {}
            print("\(location) is up to date.")
        }
    }

    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the store, as it is at one moment, to one file. The server may go on.",
            discussion: "Example: slipway store backup /backup/slipway.db")
        @OptionGroup var options: Options
        @Argument(help: "The new file.") var file: String
        @Flag(help: "Replace the file when it is there.") var force = false

        func run() async throws {
            let location = try await options.location()
            let target = FilePath(URL(fileURLWithPath: file).standardizedFileURL.path)
            if !force, FileManager.default.fileExists(atPath: target.string) {
                throw Failure("\(target) is there already", hint: "choose another name, or replace it with --force", status: Failure.refused)
            }
            let temporary = FilePath("\(target).part")
            try? FileManager.default.removeItem(atPath: temporary.string)
            do {
                try await blocking {
                    switch location {
                    case .file(let source): try SQLiteFile(source).backUp(to: temporary)
                    case .postgres: try SQLiteStore.makeFile(temporary, from: location.open())
                    }
                    try replace(target, with: temporary)
                }
            } catch {
                for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: "\(temporary)\(suffix)") }
                throw error
            }
            print("Wrote \(target). Keep secrets.key of the data directory with it: it opens the secrets.")
        }
    }

    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fill the store from a backup, in one transaction. Refused while a server uses it.",
            discussion: "Example: slipway store restore /backup/slipway.db --data /var/lib/slipway")
        @OptionGroup var options: Options
        @Argument(help: "A file that 'slipway store backup' has written, from either kind of store.") var file: String
        @Flag(help: "Remove what is in the store first.") var force = false

        func run() async throws {
            let location = try await options.location()
            let source = FilePath(URL(fileURLWithPath: file).standardizedFileURL.path)
            let force = force
            try await blocking {
                let backup = try SQLiteFile(source)
                let lock = try location.lock()
                try location.open().fill(replacing: force) { try backup.readAll($0) }
                withExtendedLifetime(lock) {}
            }
            print("Restored \(location) from \(source).")
        }
    }

    struct Copy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move everything from one store into another, empty one: from SQLite to PostgreSQL, or back.",
            discussion: "Example: slipway store copy --from /var/lib/slipway/slipway.db --to postgres://slipway@db.example.org/slipway")
        @Option(help: "A database file, or a postgres:// URL.") var from: String
        @Option(help: "An empty store: a database file, or a postgres:// URL.") var to: String

        func run() async throws {
            let (source, target) = (StoreLocation(from), StoreLocation(to))
            try await blocking {
                if !source.exists {
                    throw Failure("there is no store at \(source)", hint: "name the file slipway.db of a data directory")
                }
                // A server that goes on writing to the old store would lose what it writes.
                let locks = (try source.lock(), try target.lock())
                let origin: any StoreSource = try source.open()
                try target.open().fill(replacing: false) { try origin.readAll($0) }
                withExtendedLifetime(locks) {}
            }
            print("Copied \(source) to \(target). Point the server to it: store in slipway.yaml, or SLIPWAY_STORE.")
        }
    }
}

/// Runs what blocks on a thread of its own; what stores say becomes the command's failure.
private func blocking(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await explained { try await BlockingQueue(label: "store", width: 1).run { _ in try body() } }
}

private func explained(_ body: () async throws -> Void) async throws {
    do { try await body() } catch let error as StateError { throw Failure(error) }
}

/// Puts a finished file in its place: fsync, rename, fsync of the folder.
private func replace(_ target: FilePath, with temporary: FilePath) throws {
    let file = try FileDescriptor.open(temporary, .readOnly, options: .closeOnExec)
    try file.closeAfter { guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) } }
    guard rename(temporary.string, target.string) == 0 else { throw Errno(rawValue: errno) }
    let folder = try FileDescriptor.open(target.removingLastComponent(), .readOnly, options: [.directory, .closeOnExec])
    try folder.closeAfter { guard fsync(folder.rawValue) == 0 else { throw Errno(rawValue: errno) } }
}
