import BlockingQueue
import Glibc
public import OCIModel
import Synchronization
import SystemPackage

extension ImageStore {
    /// Starts a resumable upload and returns its id (32 hex digits). An upload that is finished with a digest of
    /// `algorithm` is hashed as it arrives; with another one its file is read once more at the end.
    public func beginUpload(algorithm: DigestAlgorithm = .sha256) async throws -> String {
        try await queue.run { _ in
            let id = Files.uniqueName()
            try Files.create(uploads.appending(id))
            hashes.put(id, UploadHashes.Entry(hasher: Digest.Hasher(algorithm), size: 0))
            return id
        }
    }

    /// Bytes received so far; nil for an unknown id.
    public func uploadSize(_ id: String) async throws -> Int64? {
        guard Self.isUploadID(id) else { return nil }
        return try await queue.run { _ in try Files.size(uploads.appending(id)) }
    }

    /// Adds bytes at the end and returns the new size. `offset` must be the current size, else
    /// `.rangeNotSatisfiable` is thrown; an upload another caller is writing to throws `.busy`.
    public func append(_ bytes: [UInt8], to id: String, at offset: Int64) async throws -> Int64 {
        try await queue.run { _ in
            let path = try uploadPath(id)
            let handle = try lockUpload(id, O_WRONLY)
            let size = try Self.length(handle.descriptor, path)
            guard size == offset else {
                throw ImageStoreError(
                    code: .rangeNotSatisfiable, message: "upload \(id) has \(size) bytes, the chunk starts at \(offset)",
                    hint: "ask for the upload's range and continue there")
            }
            guard lseek(handle.descriptor, 0, SEEK_END) == Int(size) else { throw Files.failure("seek in", path) }
            let entry = hashes.take(id)
            do {
                try bytes.withUnsafeBytes { try Files.write($0, to: handle.descriptor, at: path) }
            } catch {
                // A half-written chunk must not stay: the client will send it again from `offset`.
                _ = ftruncate(handle.descriptor, Int(size))
                throw error
            }
            if var known = entry, known.size == size {
                known.hasher.update(bytes)
                known.size += Int64(bytes.count)
                hashes.put(id, known)
            }
            return size + Int64(bytes.count)
        }
    }

    /// Verifies the upload and makes it a blob; returns its size. Other content than `expecting` throws
    /// `.digestMismatch` and removes the upload.
    @discardableResult
    public func finishUpload(_ id: String, expecting: Digest) async throws -> Int64 {
        try await queue.run { _ in
            let path = try uploadPath(id)
            let handle = try lockUpload(id, O_RDWR)
            let size = try Self.length(handle.descriptor, path)
            let known = hashes.take(id)
            let found =
                if let known, known.size == size, known.hasher.algorithm == expecting.algorithm {
                    (known.hasher.finalize(), size)
                } else {
                    try Files.digest(path, by: expecting.algorithm)
                }
            return try ingestNow(path, expecting: expecting, known: found).1
        }
    }

    /// Forgets an upload. An unknown id throws `.notFound`.
    public func cancelUpload(_ id: String) async throws {
        try await queue.run { _ in
            let path = try uploadPath(id)
            let handle = try lockUpload(id, O_RDWR)
            _ = hashes.take(id)
            try Files.unlink(path)
            _ = handle.descriptor
        }
    }

    static func isUploadID(_ id: String) -> Bool {
        id.utf8.count == 32 && id.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private func uploadPath(_ id: String) throws -> FilePath {
        guard Self.isUploadID(id) else { throw unknownUpload(id) }
        return uploads.appending(id)
    }

    /// Opens the upload and locks it against other writers, in this process and others.
    private func lockUpload(_ id: String, _ flags: Int32) throws -> Files.Handle {
        let path = try uploadPath(id)
        var handle: Files.Handle
        do { handle = try Files.open(path, flags) } catch let error as ImageStoreError where error.code == .notFound {
            throw unknownUpload(id)
        }
        guard handle.lock(LOCK_EX | LOCK_NB) else {
            throw ImageStoreError(
                code: .busy, message: "upload \(id) is being written by another request", hint: "wait for it to end")
        }
        var status = stat()
        guard fstat(handle.descriptor, &status) == 0, status.st_nlink > 0 else { throw unknownUpload(id) }
        return handle
    }

    private static func length(_ descriptor: Int32, _ path: FilePath) throws -> Int64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Files.failure("look at", path) }
        return Int64(status.st_size)
    }

    private func unknownUpload(_ id: String) -> ImageStoreError {
        ImageStoreError(code: .notFound, message: "unknown upload '\(id.prefix(64))'", hint: "start a new upload")
    }
}

/// Running hashes of uploads in progress, so that finishing one does not read its file again. Only a cache:
/// after a restart, or when more than `limit` uploads are open, the file is hashed at the end instead.
final class UploadHashes: Sendable {
    struct Entry: Sendable {
        var hasher: Digest.Hasher
        var size: Int64
    }

    private let limit = 256
    private let entries = Mutex<[String: Entry]>([:])

    func take(_ id: String) -> Entry? { entries.withLock { $0.removeValue(forKey: id) } }

    func put(_ id: String, _ entry: Entry) {
        entries.withLock { entries in
            if entries.count >= limit, let any = entries.keys.first { entries.removeValue(forKey: any) }
            entries[id] = entry
        }
    }
}
