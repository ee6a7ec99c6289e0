import BlockingQueue
import Glibc
public import OCIModel
public import SystemPackage
public import TarArchive

/// Content-addressed blobs and the names that point at them, in one folder.
///
///     <root>/blobs/sha256/<hex>                       verified content, or blobs/sha512/<hex>
///     <root>/blobs/corrupt/<hex>                      blobs found damaged, set aside
///     <root>/uploads/<id>                             resumable uploads, survive a restart
///     <root>/references/<repository>/_tags/<tag>      the digest a tag names
///     <root>/references/<repository>/_manifests/<hex> the media type of a manifest of that repository
///     <root>/references/<repository>/_blobs/<hex>     empty: the blob may be read through that repository
///     <root>/references/<repository>/_referrers/<subject hex>/<hex>  empty: a manifest with that subject
///     <root>/collection.lock                          see `ImageStore+Collecting.swift`
///     <root>/collection.turn                          held by the collection that goes on
///
/// The underscore keeps the folders apart from nested repositories, whose components never start with one.
/// A digest's hexadecimal characters tell the algorithm by their number, so that other names hold only those.
/// A file under `blobs` appears only by verify, fsync, rename, fsync of the folder. Values are cheap to
/// copy; several processes may use one root.
public struct ImageStore: Sendable {
    public let root: FilePath
    /// How large layers may be that are read out of the store or into it.
    public var limits = LayerLimits()
    let queue: BlockingQueue
    let hashes: UploadHashes
    /// A collection waits for locks; it has a thread of its own.
    let collection: BlockingQueue

    func blobs(_ algorithm: DigestAlgorithm) -> FilePath { root.appending("blobs").appending(algorithm.rawValue) }
    var corrupt: FilePath { root.appending("blobs").appending("corrupt") }
    var uploads: FilePath { root.appending("uploads") }
    var references: FilePath { root.appending("references") }

    /// Opens the store, creating its folders when they are missing.
    public init(root: FilePath) throws {
        self.root = root
        queue = BlockingQueue(label: "image-store", width: 4)
        collection = BlockingQueue(label: "image-collection", width: 1)
        hashes = UploadHashes()
        for folder in DigestAlgorithm.allCases.map(blobs) + [uploads, references] { try Files.createFolder(folder) }
    }

    /// The blob's size in bytes; nil when it is absent.
    public func size(of digest: Digest) throws -> Int64? { try Files.size(path(of: digest)) }

    /// Where the blob's file is, for streaming. The file exists only when it has been verified.
    public func path(of digest: Digest) -> FilePath { blobs(digest.algorithm).appending(digest.hex) }

    /// A new name for a temporary file on the store's own file system, to be handed to `ingest(file:expecting:)`.
    public func temporaryPath() -> FilePath { uploads.appending("tmp-\(Files.uniqueName())") }

    /// The whole blob, hashed again on the way out. A blob above `limit` throws `.sizeMismatch`; a damaged one
    /// throws `.corrupted` and is set aside, so that the next push or pull brings a good copy.
    public func read(_ digest: Digest, limit: Int = 4 << 20) async throws -> [UInt8] {
        try await queue.run { _ in try readNow(digest, limit: limit) }
    }

    func readNow(_ digest: Digest, limit: Int = 4 << 20) throws -> [UInt8] {
        guard let size = try size(of: digest) else { throw absent(digest) }
        guard size <= Int64(limit) else {
            throw ImageStoreError(
                code: .sizeMismatch, message: "blob \(digest) has \(size) bytes, more than the \(limit) allowed here",
                hint: "manifests and configs are small; is this a layer?")
        }
        let bytes = try Files.read(path(of: digest), limit: limit)
        guard Digest.of(bytes, by: digest.algorithm) == digest else { throw setAside(digest) }
        return bytes
    }

    /// Hashes the stored blob again. Throws `.notFound` or `.corrupted`.
    public func verify(_ digest: Digest) async throws {
        try await queue.run { _ in try verifyNow(digest) }
    }

    func verifyNow(_ digest: Digest) throws {
        guard try size(of: digest) != nil else { throw absent(digest) }
        guard try Files.digest(path(of: digest), by: digest.algorithm).0 == digest else { throw setAside(digest) }
    }

    /// Stores bytes under their sha256 digest, or under `expecting`: other content throws `.digestMismatch` then and
    /// nothing is stored.
    @discardableResult
    public func write(_ bytes: [UInt8], expecting: Digest? = nil) async throws -> Digest {
        try await queue.run { _ in try writeNow(bytes, expecting: expecting) }
    }

    @discardableResult
    func writeNow(_ bytes: [UInt8], expecting: Digest? = nil) throws -> Digest {
        let digest = Digest.of(bytes, by: expecting?.algorithm ?? .sha256)
        if let expecting, expecting != digest { throw mismatch(expecting, digest) }
        if try sharing({ try renewNow(digest) }) == Int64(bytes.count) { return digest }
        try sharing {
            try Files.replace(path(of: digest), with: bytes, temporary: temporaryPath())
            _ = try Files.touch(path(of: digest))
        }
        return digest
    }

    /// Moves a complete file into the store; the file is gone afterwards, also when it is refused. It must lie
    /// on the store's file system (see `temporaryPath()`). Returns its digest and size.
    public func ingest(file: FilePath, expecting: Digest?) async throws -> (Digest, Int64) {
        let stored = try await queue.run { _ in try Stored(ingestNow(file, expecting: expecting)) }
        return (stored.digest, stored.size)
    }

    /// `known` is the digest when the writer has just computed it while writing the file.
    func ingestNow(_ file: FilePath, expecting: Digest?, known: (Digest, Int64)? = nil) throws -> (Digest, Int64) {
        do {
            let (digest, size) = try known ?? Files.digest(file, by: expecting?.algorithm ?? .sha256)
            if let expecting, expecting != digest { throw mismatch(expecting, digest) }
            if try sharing({ try renewNow(digest) }) == size {
                try Files.unlink(file)
                return (digest, size)
            }
            let handle = try Files.open(file, O_RDONLY)
            try Files.sync(handle.descriptor, at: file)
            try sharing {
                try Files.rename(file, path(of: digest))
                // Someone may have put the same there just now and refer to it: its time must not go back.
                _ = try Files.touch(path(of: digest))
            }
            try Files.syncFolder(blobs(digest.algorithm))
            return (digest, size)
        } catch {
            _ = try? Files.unlink(file)
            throw error
        }
    }

    /// Moves a file whose digest and size its writer computed while writing it into the store.
    public func ingest(file: FilePath, digest: Digest, size: Int64) async throws {
        try await queue.run { _ in
            _ = try ingestNow(file, expecting: digest, known: (digest, size))
        }
    }

    /// Removes a blob. False when it was absent.
    @discardableResult
    public func deleteBlob(_ digest: Digest) async throws -> Bool {
        try await queue.run { _ in
            let removed = try Files.unlink(path(of: digest))
            if removed { try Files.syncFolder(blobs(digest.algorithm)) }
            return removed
        }
    }

    /// Bytes of all blobs.
    public func totalBytes() async throws -> Int64 {
        try await queue.run { _ in
            try DigestAlgorithm.allCases.flatMap { try Files.names(in: blobs($0)) ?? [] }
                .reduce(0) { try $0 + (Digest(hex: $1).flatMap { try size(of: $0) } ?? 0) }
        }
    }

    /// Every stored blob, sorted: the input of a garbage collection.
    public func blobDigests() async throws -> [Digest] {
        try await queue.run { _ in
            try DigestAlgorithm.allCases.flatMap { try Files.names(in: blobs($0)) ?? [] }.compactMap { Digest(hex: $0) }
        }
    }

    struct Stored: Sendable {
        let digest: Digest
        let size: Int64
        init(_ pair: (Digest, Int64)) { (digest, size) = pair }
    }

    func absent(_ digest: Digest) -> ImageStoreError {
        ImageStoreError(code: .notFound, message: "blob \(digest) is not in the store", hint: "pull or import the image first")
    }

    func mismatch(_ expected: Digest, _ found: Digest) -> ImageStoreError {
        ImageStoreError(
            code: .digestMismatch, message: "content has digest \(found), expected \(expected)",
            hint: "it was changed or cut short on the way; send it again")
    }

    /// Moves a damaged blob out of the way and returns the error to throw.
    private func setAside(_ digest: Digest) -> ImageStoreError {
        _ = try? Files.createFolder(corrupt)
        _ = try? Files.rename(path(of: digest), corrupt.appending(digest.hex))
        return ImageStoreError(
            code: .corrupted, message: "blob \(digest) is damaged on disk and was moved to blobs/corrupt",
            hint: "check the disk, then pull or push the image again")
    }
}
