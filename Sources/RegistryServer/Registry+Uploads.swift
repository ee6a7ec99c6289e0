import HTTPTypes
import Hummingbird
import ImageStore
import NIOCore
import OCIModel

/// Pushing blobs (distribution-spec, "Pushing Blobs"): in one request, as a stream, in chunks, or by mounting.
extension Registry {
    func beginUpload(_ name: RepositoryName, _ request: Request) async throws -> Response {
        if let mount = query("mount", request) {
            let digest = try Digest(parsing: mount)
            if let size = try await mountable(digest, from: query("from", request), request) {
                try await gate.checkQuota(adding: size, to: name, in: store)
                try await store.add(digest, to: name)
                return created(name, digest)
            }
        }
        guard let announced = query("digest", request) else {
            try await gate.checkQuota(adding: 0, to: name, in: store)
            let id = try await store.beginUpload(algorithm: try algorithm(request))
            return uploadResponse(.accepted, name, id, size: 0)
        }
        let digest = try Digest(parsing: announced)
        if try await passOver(request, digest, name) { return created(name, digest) }
        let id = try await store.beginUpload(algorithm: digest.algorithm)
        do {
            try await receive(request, into: id, of: name, at: 0)
            try await finish(id, digest, name)
        } catch {
            // Nobody learnt the address of this upload, so nobody can resume it.
            try? await store.cancelUpload(id)
            throw error
        }
        return created(name, digest)
    }

    /// What the client will name the blob by; the bytes are hashed that way as they arrive.
    private func algorithm(_ request: Request) throws -> DigestAlgorithm {
        guard let name = query("digest-algorithm", request) else { return .sha256 }
        guard let algorithm = DigestAlgorithm(rawValue: name) else {
            throw RegistryFailure(
                .badRequest, .digestInvalid,
                "digest-algorithm '\(name.prefix(40))' is unknown; use \(DigestAlgorithm.allCases.map(\.rawValue).joined(separator: " or "))")
        }
        return algorithm
    }

    /// The size of a blob that the client may read elsewhere already: in the repository it names, else in any. Nil: it
    /// has to be uploaded.
    private func mountable(_ digest: Digest, from source: String?, _ request: Request) async throws -> Int64? {
        let candidates: [RepositoryName]
        if let source {
            guard let repository = try? RepositoryName(parsing: source) else { return nil }
            candidates = [repository]
        } else {
            candidates = try await store.repositories(holding: digest)
        }
        for repository in candidates {
            guard let size = try await store.holds(digest, in: repository) else { continue }
            // A refusal, however it is put, only means that the client has to send the bytes: some clients cannot widen
            // the token they have.
            if (try? await authorize(request, .pull, repository)) == true { return size }
        }
        return nil
    }

    func uploadStatus(_ name: RepositoryName, _ id: String) async throws -> Response {
        uploadResponse(.noContent, name, id, size: try await knownSize(id))
    }

    func continueUpload(_ name: RepositoryName, _ id: String, _ request: Request) async throws -> Response {
        let size = try await knownSize(id)
        try checkContentRange(request, name, id, size: size)
        let end = try await receive(request, into: id, of: name, at: size)
        return uploadResponse(.accepted, name, id, size: end)
    }

    func finishUpload(_ name: RepositoryName, _ id: String, _ request: Request) async throws -> Response {
        guard let announced = query("digest", request) else {
            throw RegistryFailure(.badRequest, .digestInvalid, "say ?digest=… to finish an upload")
        }
        let digest = try Digest(parsing: announced)
        let size = try await knownSize(id)
        try checkContentRange(request, name, id, size: size)
        if size == 0, try await passOver(request, digest, name) {
            try await store.cancelUpload(id)
            return created(name, digest)
        }
        try await receive(request, into: id, of: name, at: size)
        try await finish(id, digest, name)
        return created(name, digest)
    }

    /// Takes a blob that the store has already without writing it again. The client has to prove that it has the bytes:
    /// knowing a digest does not let anybody read. False, and nothing was read, when the blob has to be stored.
    private func passOver(_ request: Request, _ digest: Digest, _ name: RepositoryName) async throws -> Bool {
        guard let length = request.headers[.contentLength].flatMap({ Int64($0) }), length > 0,
            try await store.renew(digest) == length
        else { return false }
        if try await store.holds(digest, in: name) == nil { try await gate.checkQuota(adding: length, to: name, in: store) }
        let (found, size) = try await gate.transfer {
            var hasher = Digest.Hasher(digest.algorithm)
            var size: Int64 = 0
            for try await buffer in request.body {
                buffer.readableBytesView.withUnsafeBytes { hasher.update($0) }
                size += Int64(buffer.readableBytes)
            }
            return (hasher.finalize(), size)
        }
        metrics.received(size)
        guard found == digest else {
            throw RegistryFailure(.badRequest, .digestInvalid, "the content has digest \(found), not \(digest)")
        }
        try await store.add(digest, to: name)
        return true
    }

    /// Verifies what arrived and puts it into the repository.
    private func finish(_ id: String, _ digest: Digest, _ name: RepositoryName) async throws {
        let size = try await knownSize(id)
        if try await store.holds(digest, in: name) == nil {
            do {
                try await gate.checkQuota(adding: size, to: name, in: store)
            } catch {
                try? await store.cancelUpload(id)
                throw error
            }
        }
        try await store.finishUpload(id, expecting: digest)
        gate.stored(size)
        try await store.add(digest, to: name)
    }

    func cancelUpload(_ id: String) async throws -> Response {
        _ = try await knownSize(id)
        try await store.cancelUpload(id)
        return Response(status: .noContent)
    }

    /// The store's id of an upload that this repository opened.
    func uploadID(_ ticket: String, _ name: RepositoryName) throws -> String {
        guard let id = tickets.open(ticket, for: name) else { throw unknownUpload() }
        return id
    }

    private func knownSize(_ id: String) async throws -> Int64 {
        guard let size = try await store.uploadSize(id) else { throw unknownUpload() }
        return size
    }

    private func unknownUpload() -> RegistryFailure {
        RegistryFailure(.notFound, .blobUploadUnknown, "no such upload in this repository; begin a new one")
    }

    /// A chunk says where it belongs, `Content-Range: <first>-<last>`; it must follow what is here already.
    private func checkContentRange(_ request: Request, _ name: RepositoryName, _ id: String, size: Int64) throws {
        guard let header = request.headers[.contentRange] else { return }
        let text = header.hasPrefix("bytes ") ? header.dropFirst(6) : header[...]
        let parts = text.prefix { $0 != "/" }.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = Int64(parts[0]), let last = Int64(parts[1]), first >= 0, last >= first - 1
        else { throw RegistryFailure(.badRequest, .blobUploadInvalid, "Content-Range is not <first>-<last>") }
        let length = request.headers[.contentLength].flatMap { Int64($0) }
        guard first == size, length.map({ last - first == $0 - 1 }) ?? true else {
            throw RegistryFailure(
                .rangeNotSatisfiable, .blobUploadInvalid, "this upload has \(size) bytes; the chunk must begin there",
                headers: uploadHeaders(name, id, size: size))
        }
    }

    /// Appends the request's body as it arrives, in pieces of at most a mebibyte or so. What arrived before a
    /// connection broke is kept, so that the upload can be resumed.
    @discardableResult
    private func receive(
        _ request: Request, into id: String, of name: RepositoryName, at offset: Int64
    ) async throws -> Int64 {
        let announced = request.headers[.contentLength].flatMap { Int64($0) }
        if announced == 0 { return offset }
        if let announced {
            try gate.checkBlob(offset + announced)
            try await gate.checkQuota(adding: announced, to: name, in: store)
        }
        let end = try await gate.transfer { try await append(request, to: id, at: offset) }
        metrics.received(end - offset)
        if let announced, end - offset != announced {
            throw RegistryFailure(.badRequest, .sizeInvalid, "\(end - offset) of \(announced) bytes arrived")
        }
        return end
    }

    private func append(_ request: Request, to id: String, at offset: Int64) async throws -> Int64 {
        var end = offset
        var piece: [UInt8] = []
        do {
            for try await buffer in request.body {
                piece.append(contentsOf: buffer.readableBytesView)
                try gate.checkBlob(end + Int64(piece.count))
                if piece.count >= 1 << 20 {
                    end = try await store.append(piece, to: id, at: end)
                    piece.removeAll(keepingCapacity: true)
                }
            }
        } catch {
            if !piece.isEmpty, !(error is ImageStoreError), !(error is RegistryFailure) { _ = try? await store.append(piece, to: id, at: end) }
            throw error
        }
        if !piece.isEmpty { end = try await store.append(piece, to: id, at: end) }
        return end
    }

    private func created(_ name: RepositoryName, _ digest: Digest) -> Response {
        Response(
            status: .created,
            headers: [.location: "/v2/\(name)/blobs/\(digest)", .dockerContentDigest: digest.description])
    }

    private func uploadResponse(
        _ status: HTTPResponse.Status, _ name: RepositoryName, _ id: String, size: Int64
    ) -> Response {
        Response(status: status, headers: uploadHeaders(name, id, size: size))
    }

    private func uploadHeaders(_ name: RepositoryName, _ id: String, size: Int64) -> HTTPFields {
        [
            .location: "/v2/\(name)/blobs/uploads/\(tickets.issue(id, for: name))",
            .range: "0-\(max(0, size - 1))", .dockerUploadUUID: id,
        ]
    }

    /// A query parameter; an empty one counts as absent.
    func query(_ key: String, _ request: Request) -> String? {
        let value = request.uri.queryParameters[Substring(key)].map { String($0) }
        return value == "" ? nil : value
    }
}
