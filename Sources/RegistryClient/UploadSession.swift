import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import OCIModel

/// An upload that a registry opened (distribution-spec, "Pushing blobs"): where its next request goes and how many
/// bytes the registry said it has. Used by one task at a time.
struct UploadSession: Sendable {
    let client: RegistryClient
    let repository: RepositoryName
    let scope: Scope
    let task: String
    /// Absolute address of the next request; registries change it with every answer.
    private(set) var location: String
    /// Bytes the registry has, as far as it told us.
    private(set) var offset: Int64
    /// `OCI-Chunk-Min-Length`: no chunk but the last may be shorter. Bytes.
    private(set) var minimumChunk: Int64

    enum Opening: Sendable {
        /// The registry took the blob from another repository; nothing is to be sent.
        case mounted
        case opened(UploadSession)
    }

    /// What the registry knows of an upload.
    enum Status: Sendable, Hashable {
        case at(Int64)
        /// It knows the upload, but does not say how far it is.
        case silent
        /// Unknown or expired: begin again.
        case lost
    }

    /// Continues an upload that was opened earlier, perhaps by another process. Ask for its ``status()`` first.
    init(
        client: RegistryClient, repository: RepositoryName, scope: Scope, task: String, location: String, offset: Int64 = 0,
        minimumChunk: Int64 = 0
    ) {
        (self.client, self.repository, self.scope, self.task) = (client, repository, scope, task)
        (self.location, self.offset, self.minimumChunk) = (location, offset, minimumChunk)
    }

    /// Opens an upload, or mounts the blob from another repository of the registry when that is possible.
    static func open(
        _ client: RegistryClient, _ repository: RepositoryName, _ scope: Scope, task: String,
        mounting mount: (digest: Digest, from: RepositoryName)? = nil
    ) async throws -> Opening {
        var path = "blobs/uploads/"
        if let mount { path += "?mount=\(mount.digest)&from=\(Transport.escape(mount.from.rawValue))" }
        var request = client.request(.POST, repository, path, scope)
        request.task = task
        request.headers = ["Content-Length": "0"]
        let response = try await client.transport.send(request)
        if response.status == .created, mount != nil {
            await client.transport.drain(response)
            return .mounted
        }
        guard response.status == .accepted else { throw await client.transport.failure(response, task) }
        await client.transport.drain(response)
        guard let location = response.headers.first(name: "Location"),
            let address = Transport.resolve(location, at: request.url)
        else {
            throw RegistryError(
                .invalidResponse, "\(task): no usable Location for an upload", hint: "ask the registry's operator")
        }
        let minimum = response.headers.first(name: "OCI-Chunk-Min-Length").flatMap { Int64($0) } ?? 0
        return .opened(
            UploadSession(
                client: client, repository: repository, scope: scope, task: task, location: address,
                minimumChunk: max(0, minimum)))
    }

    /// Asks how far the upload is, and goes on from there.
    mutating func status() async throws -> Status {
        let request = Outgoing(method: .GET, url: location, scope: scope, task: task)
        let response = try await client.transport.send(request)
        guard (200..<300).contains(response.status.code) else {
            if response.status == .unauthorized || response.status == .forbidden {
                throw await client.transport.failure(response, task)
            }
            await client.transport.drain(response)
            return .lost
        }
        await client.transport.drain(response)
        follow(response.headers)
        guard let reached = Self.reached(response.headers) else { return .silent }
        offset = reached
        return .at(reached)
    }

    /// Sends bytes that begin at ``offset``; afterwards `offset` is what the registry says it has. Never repeated:
    /// after an ``Interruption`` ask for the ``status()``.
    ///
    /// - Parameters:
    ///   - count: how many bytes the body has; nil for a stream of unknown length.
    ///   - sent: how many bytes were handed over, asked when the registry does not say how far it is.
    mutating func patch(_ body: HTTPClientRequest.Body, count: Int64?, sent: () async -> Int64) async throws {
        var request = Outgoing(method: .PATCH, url: location, scope: scope, task: task)
        request.headers = ["Content-Type": "application/octet-stream"]
        if let count { request.headers.add(name: "Content-Range", value: "\(offset)-\(offset + count - 1)") }
        request.body = body
        request.repeatable = false
        request.timeout = .hours(6)
        let response = try await client.transport.sendOnce(request)
        guard (200..<300).contains(response.status.code) else { throw await refusal(response) }
        await client.transport.drain(response)
        follow(response.headers)
        let end = offset + (await sent())
        if let reached = Self.reached(response.headers) {
            offset = reached
        } else {
            // The specification demands a Range. One who does not send it took everything, unless it says otherwise.
            switch try await status() {
            case .at: break
            case .silent: offset = end
            case .lost:
                throw Interruption(error: protocolError("forgot the upload it had accepted bytes for"), isSessionLost: true)
            }
        }
        guard offset <= end else {
            throw Interruption(
                error: protocolError("claims to have \(offset) bytes of the \(end) sent"), isSessionLost: true)
        }
    }

    /// Ends the upload: the rest of the bytes, if any, and the digest to verify everything against.
    func finish(_ digest: Digest, body: HTTPClientRequest.Body? = nil, count: Int64 = 0) async throws {
        let address = location + (location.contains("?") ? "&" : "?") + "digest=\(digest)"
        var request = Outgoing(method: .PUT, url: address, scope: scope, task: task)
        request.headers = ["Content-Type": "application/octet-stream"]
        if count > 0, offset > 0 {
            request.headers.add(name: "Content-Range", value: "\(offset)-\(offset + count - 1)")
        }
        request.body = body ?? .bytes([UInt8]())
        request.repeatable = false
        request.timeout = .hours(6)
        let response = try await client.transport.sendOnce(request)
        guard [200, 201, 204].contains(response.status.code) else { throw await refusal(response) }
        await client.transport.drain(response)
    }

    /// Tells the registry to forget the upload. A failure does no harm: registries forget uploads by themselves.
    func cancel() async {
        let request = Outgoing(method: .DELETE, url: location, scope: scope, task: task, timeout: .seconds(10))
        for _ in 0..<5 {
            guard let response = try? await client.transport.sendOnce(request) else { return }
            await client.transport.drain(response)
            // It has not noticed yet that the request we broke off is over.
            guard response.status == .conflict, (try? await Task.sleep(for: .milliseconds(50))) != nil else { return }
        }
    }

    private func protocolError(_ text: String) -> RegistryError {
        RegistryError(.invalidResponse, "\(task): the registry \(text)", hint: "ask the registry's operator")
    }

    /// 404: the upload is gone (a restart of the registry, a timeout). 409, 416: it is busy, or not where
    /// we think, so ask.
    private func refusal(_ response: HTTPClientResponse) async -> any Error {
        let error = await client.transport.failure(response, task)
        switch response.status.code {
        case 404, 410: return Interruption(error: error, isSessionLost: true)
        case 409, 416: return Interruption(error: error)
        default: return error
        }
    }

    private mutating func follow(_ headers: HTTPHeaders) {
        if let next = headers.first(name: "Location"), let address = Transport.resolve(next, at: location) { location = address }
        if let minimum = headers.first(name: "OCI-Chunk-Min-Length").flatMap({ Int64($0) }) { minimumChunk = max(0, minimum) }
    }

    /// Bytes that a `Range: 0-<last>` stands for. `0-0` is what registries answer for nothing at all.
    static func reached(_ headers: HTTPHeaders) -> Int64? {
        guard let range = headers.first(name: "Range") else { return nil }
        let text = range.hasPrefix("bytes=") ? range.dropFirst(6) : range[...]
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == "0", let last = Int64(parts[1]), last >= 0, last < Int64.max else { return nil }
        return last == 0 ? 0 : last + 1
    }
}
