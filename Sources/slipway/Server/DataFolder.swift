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

    /// Makes the folder when it is missing and locks it: one server at a time.
    ///
    /// - Parameter busy: thrown when a server has it.
    init(_ path: FilePath, ifBusy busy: Failure? = nil) throws {
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
            path.appending("lock"),
            ifBusy: busy
                ?? Failure(
                    "another server uses the data directory \(path)", hint: "stop it first, or choose another with --data"),
            ifUnwritable: { error in
                Failure(
                    "the data directory \(path) cannot be written: \(error)",
                    hint: "choose another with --data, or give this user the right to write there")
            })
    }

    /// The administrator's token, made at the first start.
    func adminToken() throws -> String {
        if let data = FileManager.default.contents(atPath: tokenFile.string), !data.isEmpty {
            return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let token = SecretBox.newKey().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        try writePrivate(Data("\(token)\n".utf8), to: tokenFile)
        return token
    }

    func secrets() throws -> SecretBox {
        let file = path.appending("secrets.key")
        if let data = FileManager.default.contents(atPath: file.string) { return try SecretBox(key: Array(data)) }
        let key = SecretBox.newKey()
        try writePrivate(Data(key), to: file)
        return try SecretBox(key: key)
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
