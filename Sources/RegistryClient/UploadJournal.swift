import BlockingQueue
import FoundationEssentials
import Glibc
import OCIModel
import Synchronization
import SystemPackage

/// Remembers on disk which uploads are on their way, so that a later process goes on with them instead of beginning
/// again. One file per registry, repository and blob; it appears by temp, fsync, rename and is removed at the end.
///
/// Files are readable by their owner only: an upload's address may hold what is needed to write to it.
struct UploadJournal: Sendable {
    /// What is kept of one upload.
    struct Record: Codable, Sendable, Hashable {
        var registry: String
        var repository: RepositoryName
        var digest: Digest
        /// Absolute address of the upload's next request.
        var location: String
        /// Bytes the registry confirmed; it is asked again before going on.
        var offset: Int64
        /// `OCI-Chunk-Min-Length` in bytes.
        var minimumChunk: Int64
        /// Seconds since 1970.
        var noted: Int64
    }

    /// Registries forget uploads after some days at most.
    static let lifetime: Int64 = 3 * 24 * 3600

    private let folder: FilePath
    private let now: @Sendable () -> Int64
    private let queue: BlockingQueue

    /// - Parameter folder: made when it is missing.
    init(folder: FilePath, now: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }) {
        self.folder = folder
        self.now = now
        queue = BlockingQueue(label: "upload-journal", width: 1)
    }

    /// Takes the note of one blob for this process. Nil when another process is sending the same blob to the same place.
    func claim(_ registry: String, _ repository: RepositoryName, _ digest: Digest) async throws -> UploadNote? {
        try await queue.run { _ in
            try Self.makeFolder(folder)
            removeExpired()
            let key = Digest.sha256(Array("\(registry)\n\(repository)\n\(digest)".utf8)).hex
            let lock = folder.appending("\(key).lock")
            let descriptor = open(lock.string, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw Self.failure("open", lock) }
            // Should two hold locks of the same name, one on a file just removed, then the registry tells them apart: it
            // refuses bytes that do not belong where the upload is, and verifies the digest.
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                close(descriptor)
                return nil
            }
            let file = folder.appending("\(key).json")
            let record = read(file).flatMap {
                $0.registry == registry && $0.repository == repository && $0.digest == digest ? $0 : nil
            }
            return UploadNote(lock: descriptor, lockFile: lock, file: file, record: record, queue: queue, now: now)
        }
    }

    /// Nil when there is none, or none that is of use: half a note is as good as no note.
    private func read(_ file: FilePath) -> Record? {
        guard let bytes = try? FileBytes.read(file, limit: 64 << 10),
            let record = try? JSONDecoder().decode(Record.self, from: Data(bytes)), now() - record.noted < Self.lifetime,
            record.offset >= 0
        else { return nil }
        return record
    }

    /// Removes what nobody came back for.
    private func removeExpired() {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.string) else { return }
        for name in names where name.hasSuffix(".json") || name.hasSuffix(".tmp") {
            let path = folder.appending(name)
            let attributes = try? FileManager.default.attributesOfItem(atPath: path.string)
            guard let written = attributes?[.modificationDate] as? Date,
                now() - Int64(written.timeIntervalSince1970) >= Self.lifetime
            else { continue }
            unlink(path.string)
            unlink(folder.appending(String(name.prefix { $0 != "." }) + ".lock").string)
        }
    }

    private static func makeFolder(_ folder: FilePath) throws {
        guard mkdir(folder.string, 0o700) == 0 || errno == EEXIST else { throw failure("create", folder) }
    }

    static func failure(_ action: String, _ path: FilePath) -> RegistryError {
        RegistryError(
            .fileSystem, "cannot \(action) \(path): \(String(cString: strerror(errno)))",
            hint: "check the disk and the owner of the data directory")
    }
}

/// The note of one upload, locked by this process until it is let go.
final class UploadNote: Sendable {
    /// What an earlier process left.
    let record: UploadJournal.Record?
    private let lock: Int32
    private let lockFile: FilePath
    private let file: FilePath
    private let queue: BlockingQueue
    private let now: @Sendable () -> Int64

    init(
        lock: Int32, lockFile: FilePath, file: FilePath, record: UploadJournal.Record?, queue: BlockingQueue,
        now: @escaping @Sendable () -> Int64
    ) {
        (self.lock, self.lockFile, self.file) = (lock, lockFile, file)
        (self.record, self.queue, self.now) = (record, queue, now)
    }

    deinit {
        // Closing alone would leave it to a program that is just being started, which has a copy until its exec.
        flock(lock, LOCK_UN)
        close(lock)
    }

    /// Keeps how far the upload is.
    func keep(_ session: UploadSession, of digest: Digest) async throws {
        let record = UploadJournal.Record(
            registry: session.client.host, repository: session.repository, digest: digest, location: session.location,
            offset: session.offset, minimumChunk: session.minimumChunk, noted: now())
        let bytes = try OCIJSON.encode(record)
        try await queue.run { [file] _ in
            let temporary = FilePath(file.string + ".tmp")
            let descriptor = open(temporary.string, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw UploadJournal.failure("create", temporary) }
            defer { close(descriptor) }
            do { try FileDescriptor(rawValue: descriptor).writeAll(bytes) } catch { throw UploadJournal.failure("write", temporary) }
            guard fsync(descriptor) == 0 else { throw UploadJournal.failure("flush", temporary) }
            guard rename(temporary.string, file.string) == 0 else { throw UploadJournal.failure("rename", temporary) }
        }
    }

    /// The upload is over, or lost.
    func remove() async {
        _ = try? await queue.run { [file, lockFile] _ in
            unlink(file.string)
            unlink(lockFile.string)
        }
    }
}

/// Small files, read whole.
enum FileBytes {
    static func read(_ file: FilePath, limit: Int) throws -> [UInt8] {
        let descriptor = try FileDescriptor.open(file, .readOnly)
        return try descriptor.closeAfter {
            var bytes = [UInt8](repeating: 0, count: limit)
            var filled = 0
            while filled < bytes.count {
                let count = try bytes.withUnsafeMutableBytes {
                    try descriptor.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[filled...]))
                }
                if count == 0 { break }
                filled += count
            }
            return Array(bytes.prefix(filled))
        }
    }
}
