import AsyncHTTPClient
import ImageStore
import NIOCore
import OCIModel
import SystemPackage
import _NIOFileSystem

/// Where a push takes its content from.
protocol PushSource: Sendable {
    /// The bytes of a manifest or index, verified.
    func manifest(_ digest: Digest, task: String) async throws -> [UInt8]
    /// Throws when the blob is not there or has another size.
    func check(_ blob: Descriptor, task: String) throws
    /// Lends a part of a blob as a request body.
    func withBody<T: Sendable>(
        _ blob: Descriptor, _ range: Range<Int64>, progress: (@Sendable (RegistryProgress) -> Void)?,
        _ send: @Sendable (HTTPClientRequest.Body) async throws -> T
    ) async throws -> T
    /// Where unfinished uploads are remembered; nil: nowhere.
    var journal: UploadJournal? { get }
    /// Whether parts of a blob cost nothing extra, so that it may travel in chunks.
    var isDivisible: Bool { get }
}

/// A push from the local store.
struct StoreSource: PushSource {
    let store: ImageStore

    var journal: UploadJournal? { UploadJournal(folder: store.root.appending("pushes")) }
    var isDivisible: Bool { true }

    func manifest(_ digest: Digest, task: String) async throws -> [UInt8] {
        do { return try await store.read(digest, limit: RegistryClient.manifestLimit) } catch let error as ImageStoreError {
            let code: RegistryError.Code =
                switch error.code {
                case .notFound: .notFound
                case .sizeMismatch: .sizeMismatch
                default: .digestMismatch
                }
            throw RegistryError(code, "\(task): \(error.message)", hint: error.hint)
        }
    }

    func check(_ blob: Descriptor, task: String) throws {
        guard let size = try store.size(of: blob.digest) else {
            throw RegistryError(
                .notFound, "\(task): blob \(blob.digest) is not in the local store", hint: "build or pull the image again")
        }
        guard size == blob.size else {
            throw RegistryError(
                .sizeMismatch, "\(task): blob \(blob.digest) has \(size) bytes, the manifest says \(blob.size)",
                hint: "build the image again")
        }
    }

    func withBody<T: Sendable>(
        _ blob: Descriptor, _ range: Range<Int64>, progress: (@Sendable (RegistryProgress) -> Void)?,
        _ send: @Sendable (HTTPClientRequest.Body) async throws -> T
    ) async throws -> T {
        try await FileSystem.shared.withFileHandle(forReadingAt: store.path(of: blob.digest)) { file in
            let body = UploadBody(
                base: file.readChunks(in: range, chunkLength: .kibibytes(256)), blob: blob, begin: range.lowerBound,
                progress: progress)
            return try await send(.stream(body, length: .known(range.upperBound - range.lowerBound)))
        }
    }
}

/// A part of a blob as a request body that reports how far it is.
struct UploadBody<Base: AsyncSequence & Sendable>: AsyncSequence, Sendable where Base.Element == ByteBuffer {
    typealias Element = ByteBuffer
    let base: Base
    let blob: Descriptor
    /// Where in the blob the body begins, in bytes.
    let begin: Int64
    let progress: (@Sendable (RegistryProgress) -> Void)?

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: Base.AsyncIterator
        let blob: Descriptor
        let progress: (@Sendable (RegistryProgress) -> Void)?
        var sent: Int64

        mutating func next() async throws -> ByteBuffer? {
            guard let piece = try await base.next() else { return nil }
            sent += Int64(piece.readableBytes)
            progress?(RegistryProgress(digest: blob.digest, step: .transferring, completed: sent, total: blob.size))
            return piece
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: base.makeAsyncIterator(), blob: blob, progress: progress, sent: begin)
    }
}
