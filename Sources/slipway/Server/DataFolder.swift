import Foundation
import StateStore
import SystemPackage

/// The data directory: its layout, its lock and its two secrets.
struct DataFolder {
    let path: FilePath
    private let lock: FileLock

    var containers: FilePath { path.appending("containers") }
    var snapshots: FilePath { path.appending("snapshots") }
    var router: FilePath { path.appending("router") }
    var tokenFile: FilePath { path.appending("admin-token") }

    /// Makes the folder when it is missing and locks it: for one server, or for those that share it.
    ///
    /// - Parameters:
    ///   - shared: with servers that share their store too.
    ///   - busy: thrown when a server has it.
    init(_ path: FilePath, shared: Bool = false, ifBusy busy: Failure? = nil) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure(
                "the data directory \(path) cannot be written: \(error)",
                hint: "choose another with --data, or give this user the right to write there")
        }
        lock = try FileLock(
            path.appending("lock"), shared: shared,
            ifBusy: busy
                ?? Failure(
                    "another server uses the data directory \(path)",
                    hint:
                        "stop it first, take its place with --replace, or choose another with --data; only servers on PostgreSQL share a data directory"
                ),
            ifUnwritable: { error in
                Failure(
                    "the data directory \(path) cannot be written: \(error)",
                    hint: "choose another with --data, or give this user the right to write there")
            })
    }

    /// The administrator's token, made at the first start.
    func adminToken() throws -> String {
        let token = try made("admin-token") { Data((SecretBox.newToken() + "\n").utf8) }
        return String(decoding: token, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func secrets() throws -> SecretBox {
        try SecretBox(key: Array(try made("secrets.key") { Data(SecretBox.newKey()) }))
    }

    /// For what runs beside a server: the key as it is.
    static func existingSecrets(in path: FilePath) throws -> SecretBox {
        let file = path.appending("secrets.key")
        guard let key = FileManager.default.contents(atPath: file.string), !key.isEmpty else {
            throw Failure("\(file) is missing or cannot be read", hint: "is \(path) the data directory, and are you root?")
        }
        return try SecretBox(key: Array(key))
    }

    /// Tells this data directory from others, wherever it is moved to.
    func id() throws -> String {
        let id = try made("installation") { Data((SecretBox.newToken() + "\n").utf8) }
        return String(decoding: id, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A small file's content; made when it is missing or empty. Servers that start at once make it once.
    private func made(_ name: String, _ content: () -> Data) throws -> Data {
        let file = path.appending(name)
        func existing() -> Data? { FileManager.default.contents(atPath: file.string).flatMap { $0.isEmpty ? nil : $0 } }
        if let data = existing() { return data }
        return try ServerPlace.alone(in: path) {
            if let data = existing() { return data }
            let data = content()
            try writePrivate(data, to: file)
            return data
        }
    }

    /// Temp, fsync, rename, fsync of the folder; readable by the owner alone.
    func writePrivate(_ data: Data, to file: FilePath) throws {
        let temporary = FilePath("\(file).new")
        let descriptor = try FileDescriptor.open(
            temporary, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: .ownerReadWrite)
        try descriptor.closeAfter {
            _ = try descriptor.writeAll(data)
            guard fsync(descriptor.rawValue) == 0 else { throw Errno(rawValue: errno) }
        }
        guard rename(temporary.string, file.string) == 0 else { throw Errno(rawValue: errno) }
        let folder = try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
        try folder.closeAfter { guard fsync(folder.rawValue) == 0 else { throw Errno(rawValue: errno) } }
    }
}
