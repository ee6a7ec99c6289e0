import HTTPTypes
import Hummingbird
import ImageStore
import NIOCore
import OCIModel

/// Pushing blobs (distribution-spec, "Pushing Blobs"): in one request, as a stream, in chunks, or by mounting.
extension Registry {
    func beginUpload(_ name: RepositoryName, _ request: Request) async throws -> Response {
        if let mount = query("mount", request), let digest = try? Digest(parsing: mount),
            try await canMount(digest, from: query("from", request), request)
        {
            return created(name, digest)
        }
        guard let announced = query("digest", request) else {
            let id = try await store.beginUpload()
            return uploadResponse(.accepted, name, id, size: 0)
        }
        let digest = try Digest(parsing: announced)
        let id = try await store.beginUpload()
        do {
            _ = try await receive(request, into: id, at: 0)
            _ = try await store.finishUpload(id, expecting: digest)
        } catch {
            // Nobody learnt the address of this upload, so nobody can resume it.
            try? await store.cancelUpload(id)
            throw error
        }
        return created(name, digest)
    }

    private func canMount(_ digest: Digest, from source: String?, _ request: Request) async throws -> Bool {
        guard try store.size(of: digest) != nil else { return false }
        guard let source else { return true }
        guard let repository = try? RepositoryName(parsing: source) else { return false }
        return (try? await authorize(request, .pull, repository)) ?? false
    }

    func uploadStatus(_ name: RepositoryName, _ id: String) async throws -> Response {
        uploadResponse(.noContent, name, id, size: try await knownSize(id))
    }

    func continueUpload(_ name: RepositoryName, _ id: String, _ request: Request) async throws -> Response {
        let size = try await knownSize(id)
        try checkContentRange(request, name, id, size: size)
        let end = try await receive(request, into: id, at: size)
        return uploadResponse(.accepted, name, id, size: end)
    }

    func finishUpload(_ name: RepositoryName, _ id: String, _ request: Request) async throws -> Response {
        guard let announced = query("digest", request) else {
            throw RegistryFailure(.badRequest, .digestInvalid, "say ?digest=sha256:… to finish an upload")
        }
        let digest = try Digest(parsing: announced)
        let size = try await knownSize(id)
        try checkContentRange(request, name, id, size: size)
        _ = try await receive(request, into: id, at: size)
        _ = try await store.finishUpload(id, expecting: digest)
        return created(name, digest)
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
    private func receive(_ request: Request, into id: String, at offset: Int64) async throws -> Int64 {
        let announced = request.headers[.contentLength].flatMap { Int64($0) }
        var end = offset
        var piece: [UInt8] = []
        do {
            for try await buffer in request.body {
                piece.append(contentsOf: buffer.readableBytesView)
                if piece.count >= 1 << 20 {
                    end = try await store.append(piece, to: id, at: end)
                    piece.removeAll(keepingCapacity: true)
                }
            }
        } catch {
            if !piece.isEmpty, !(error is ImageStoreError) { _ = try? await store.append(piece, to: id, at: end) }
            throw error
        }
        if !piece.isEmpty { end = try await store.append(piece, to: id, at: end) }
        if let announced, end - offset != announced {
            throw RegistryFailure(.badRequest, .sizeInvalid, "\(end - offset) of \(announced) bytes arrived")
        }
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
