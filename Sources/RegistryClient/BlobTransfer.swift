import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1
import OCIModel

/// One blob on its way to the registry, over as many connections as it takes.
struct BlobTransfer {
    enum Outcome: Sendable { case alreadyThere, uploaded }

    let push: Push
    let descriptor: Descriptor
    let note: UploadNote?
    /// Nil: none is open. What it says of its offset must be asked for again after an interruption.
    private(set) var session: UploadSession?
    /// Whether ``session``'s offset is in doubt.
    private var mustAsk: Bool
    /// Nobody can have it; true until an attempt has failed.
    private var isNew: Bool
    /// The upload began in this attempt and was sent in one request, so that a refusal is about its content.
    private var isWhole = false
    /// Where the registry said last that the upload is somewhere else.
    private var misplacedAt: Int64?

    init(push: Push, descriptor: Descriptor, note: UploadNote?, session: UploadSession?, isNew: Bool) {
        (self.push, self.descriptor, self.note, self.session, self.isNew) = (push, descriptor, note, session, isNew)
        mustAsk = session != nil
    }

    /// Goes on from where the attempt before ended. Throws an ``Interruption`` when another one is worth it.
    mutating func attempt() async throws -> Outcome {
        if mustAsk { try await ask() }
        if session == nil {
            isWhole = true
            guard let opened = try await open() else { return .alreadyThere }
            session = opened
            await keepNote(opened)
        }
        do {
            try await send()
            return .uploaded
        } catch let interruption as Interruption {
            (mustAsk, isWhole) = (true, false)
            if interruption.isSessionLost { session = nil }
            guard interruption.error.status == 416, let offset = session?.offset else { throw interruption }
            // What an earlier connection still carried may have arrived since. Refused twice at one place: it is the chunk.
            if misplacedAt == offset { try await beginAgainInOnePiece(interruption.error) }
            misplacedAt = offset
            throw interruption
        } catch let error as RegistryError where !isWhole && error.status.map(Self.isAboutContent) == true {
            // Put together from several requests it is not what it should be, or chunks are not liked here.
            try await beginAgainInOnePiece(error)
        }
    }

    private static func isAboutContent(_ status: Int) -> Bool {
        (400..<500).contains(status) && ![401, 403].contains(status) || status == 501
    }

    private mutating func beginAgainInOnePiece(_ error: RegistryError) async throws -> Never {
        await session?.cancel()
        session = nil
        push.client.chunks.refuse()
        throw Interruption(error: error)
    }

    private mutating func ask() async throws {
        guard var known = session else { return }
        for _ in 0..<2 {
            switch try await known.status() {
            case .at(let offset) where offset <= descriptor.size:
                session = known
                mustAsk = false
                return
            case .silent: continue
            case .at, .lost:
                session = nil
                mustAsk = false
                return
            }
        }
        // It does not tell: trust what it confirmed before; Content-Range and the digest guard against a mistake.
        session = known
        mustAsk = false
    }

    /// Asks whether the registry has the blob, mounts it, or opens an upload. Nil: it is there.
    private mutating func open() async throws -> UploadSession? {
        defer { isNew = false }
        if !isNew, try await push.client.size(of: descriptor.digest, in: push.repository, scope: push.scope, task: push.task) != nil {
            return nil
        }
        let task = push.task
        if let from = push.mountFrom {
            do {
                let opening = try await UploadSession.open(
                    push.client, push.repository, push.scope, task: task, mounting: (digest: descriptor.digest, from: from))
                guard case .opened(let session) = opening else { return nil }
                try push.source.check(descriptor, task: task)
                return session
            } catch let error as RegistryError where error.status.map({ (400..<500).contains($0) }) == true {
                push.transport.logger.info("\(task): no mount from \(from): \(error)")
            }
        }
        try push.source.check(descriptor, task: task)
        guard case .opened(let session) = try await UploadSession.open(push.client, push.repository, push.scope, task: task) else {
            return nil
        }
        return session
    }

    /// Sends everything from the session's offset on: chunks, the last one with the request that ends the upload.
    private mutating func send() async throws {
        guard var current = session else { return }
        while true {
            let begin = current.offset
            let rest = descriptor.size - begin
            let count = push.source.isDivisible ? push.client.chunks.next(of: rest, atLeast: current.minimumChunk) : rest
            if count == rest {
                guard rest > 0 else { return try await current.finish(descriptor.digest) }
                return try await push.source.withBody(descriptor, begin..<descriptor.size, progress: push.progress) { [current, descriptor] body in
                    try await current.finish(descriptor.digest, body: body, count: rest)
                }
            }
            isWhole = false
            current = try await push.source.withBody(descriptor, begin..<begin + count, progress: push.progress) { [current] body in
                var current = current
                try await current.patch(body, count: count) { count }
                return current
            }
            guard current.offset > begin else {
                throw RegistryError(
                    .rejected, "\(push.task): the registry took a chunk and stayed at \(begin) bytes",
                    hint: "set its chunk_size to 0", status: 416)
            }
            session = current
            misplacedAt = nil
            await keepNote(current)
        }
    }

    private func keepNote(_ session: UploadSession) async {
        do { try await note?.keep(session, of: descriptor.digest) } catch {
            push.transport.logger.warning("\(push.task): this upload cannot be resumed after a restart: \(error)")
        }
    }
}
