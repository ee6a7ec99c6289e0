import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import OCIModel
import Synchronization

/// A copy from another registry: what arrives there is sent on at once and never touches the disk.
struct RemoteSource: PushSource {
    let client: RegistryClient
    let repository: RepositoryName

    var journal: UploadJournal? { nil }
    var isDivisible: Bool { false }
    var scope: Scope { .pull(repository.rawValue) }

    func manifest(_ digest: Digest, task: String) async throws -> [UInt8] {
        try await client.fetchManifest(repository, .digest(digest), scope: scope, task: task).bytes
    }

    func check(_ blob: Descriptor, task: String) throws {
        guard blob.size >= 0 else {
            throw RegistryError(
                .sizeMismatch, "\(task): blob \(blob.digest) has a size below zero", hint: "the image is damaged; build it again")
        }
    }

    func withBody<T: Sendable>(
        _ blob: Descriptor, _ range: Range<Int64>, progress: (@Sendable (RegistryProgress) -> Void)?,
        _ send: @Sendable (HTTPClientRequest.Body) async throws -> T
    ) async throws -> T {
        let task = "copying from \(client.host)/\(repository)"
        let failure = SourceFailure()
        let body = UploadBody(
            base: RemoteBlob(source: self, blob: blob, range: range, task: task, failure: failure), blob: blob,
            begin: range.lowerBound, progress: progress)
        do { return try await send(.stream(body, length: .known(range.upperBound - range.lowerBound))) } catch {
            // The request failed because its body did: say what is wrong there.
            throw failure.error ?? error
        }
    }

    /// Opens a blob from a place on; registries without ranges send it from the beginning.
    ///
    /// - Returns: the body, and how many of its bytes lie before `offset`.
    func open(_ blob: Descriptor, from offset: Int64, task: String) async throws -> (HTTPClientResponse.Body, skip: Int64) {
        var request = client.request(.GET, repository, "blobs/\(blob.digest)", scope)
        request.task = task
        request.timeout = .hours(6)
        if offset > 0 { request.headers = ["Range": "bytes=\(offset)-"] }
        let response = try await client.transport.sendOnce(request)
        switch response.status.code {
        case 200: return (response.body, offset)
        case 206 where response.headers.first(name: "Content-Range")?.hasPrefix("bytes \(offset)-") == true:
            return (response.body, 0)
        default: throw await client.transport.failure(response, task)
        }
    }
}

/// Why a body ended before its time: the HTTP client wraps errors of bodies in its own.
final class SourceFailure: Sendable {
    private let value = Mutex<(any Error)?>(nil)
    var error: (any Error)? { value.withLock { $0 } }
    func note(_ error: any Error) { value.withLock { $0 = error } }
}

/// A part of a blob of a registry, as it arrives. A broken connection is taken up again where it broke; a whole blob is
/// verified before its last bytes are given on.
struct RemoteBlob: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    let source: RemoteSource
    let blob: Descriptor
    let range: Range<Int64>
    let task: String
    let failure: SourceFailure

    struct AsyncIterator: AsyncIteratorProtocol {
        let remote: RemoteBlob
        private var body: HTTPClientResponse.Body.AsyncIterator?
        private var skip: Int64 = 0
        private var position: Int64
        private var hasher: Digest.Hasher

        init(_ remote: RemoteBlob) {
            self.remote = remote
            position = remote.range.lowerBound
            hasher = Digest.Hasher(remote.blob.digest.algorithm)
        }

        mutating func next() async throws -> ByteBuffer? {
            do { return try await piece() } catch {
                // A body that is no longer wanted did not fail: the request did, and says why.
                if !Task.isCancelled, !(error is CancellationError) { remote.failure.note(error) }
                throw error
            }
        }

        private mutating func piece() async throws -> ByteBuffer? {
            guard position < remote.range.upperBound else { return nil }
            var attempt = 1
            var last = position
            while true {
                do { return try await read() } catch let interruption as Interruption {
                    body = nil
                    let retry = remote.source.client.transport.retry
                    if position > last { (attempt, last) = (1, position) }
                    guard attempt < retry.attempts, (interruption.retryAfter ?? .zero) <= retry.maximum else { throw interruption.error }
                    try await retry.sleep(retry.pause(after: attempt, asked: interruption.retryAfter))
                    attempt += 1
                }
            }
        }

        private mutating func read() async throws -> ByteBuffer? {
            if body == nil {
                let opened = try await remote.source.open(remote.blob, from: position, task: remote.task)
                (body, skip) = (opened.0.makeAsyncIterator(), opened.skip)
            }
            while var buffer = try await part() {
                let passed = Int(Swift.min(skip, Int64(buffer.readableBytes)))
                buffer.moveReaderIndex(forwardBy: passed)
                skip -= Int64(passed)
                guard buffer.readableBytes > 0 else { continue }
                guard position + Int64(buffer.readableBytes) <= remote.blob.size else { throw wrongSize("more") }
                let wanted = Int(Swift.min(Int64(buffer.readableBytes), remote.range.upperBound - position))
                guard let piece = buffer.readSlice(length: wanted) else { continue }
                position += Int64(wanted)
                if remote.range.lowerBound == 0 {
                    piece.withUnsafeReadableBytes { hasher.update($0) }
                    if position == remote.blob.size { try verify() }
                }
                return piece
            }
            throw Interruption(error: wrongSize("fewer"))
        }

        private mutating func part() async throws -> ByteBuffer? {
            do { return try await body?.next() } catch { throw remote.source.client.transport.broken(error, remote.task) }
        }

        private func verify() throws {
            let found = hasher.finalize()
            guard found == remote.blob.digest else {
                throw RegistryError(
                    .digestMismatch, "\(remote.task): content has digest \(found), expected \(remote.blob.digest)",
                    hint: "it was changed on the way or in the registry; do not use it")
            }
        }

        private func wrongSize(_ what: String) -> RegistryError {
            RegistryError(
                .sizeMismatch, "\(remote.task): blob \(remote.blob.digest) has \(what) bytes than the \(remote.blob.size) of its manifest",
                hint: "the image is damaged in the registry; push it again")
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}
