import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Synchronization
import SystemPackage

/// Speaks the Docker Engine API with one host (https://docs.docker.com/reference/api/engine/). Podman answers the same questions.
final class DockerAPI: Sendable {
    /// The oldest version with all that is asked for here: Docker 20.10, Podman 4.
    static let oldest = DockerVersion(major: 1, minor: 40)
    /// The newest one it was written against; a newer daemon is spoken to in this one.
    static let newest = DockerVersion(major: 1, minor: 48)
    static let answerLimit = 8 << 20

    let host: DockerHost
    /// Where its socket is on this machine, when it is reached by ssh.
    let forward: SSHForward?
    private let client: HTTPClient
    private let tls: DockerTLS?
    private let version = Mutex<DockerVersion?>(nil)

    /// - Parameter client: lent; with a bound on the time to connect, and none on the time to read: every call has its own.
    init(host: DockerHost, tls: DockerTLS? = nil, forward: SSHForward? = nil, client: HTTPClient) {
        self.host = host
        self.forward = forward
        self.tls = tls
        self.client = client
    }

    struct Answer {
        var status: Int
        var body: [UInt8]
    }

    /// One question. Statuses other than 2xx and those in `expecting` are thrown in the daemon's words.
    ///
    /// - Parameters:
    ///   - path: of the API, without its version.
    ///   - notAfter: the request is not begun later than this; then nil is returned.
    func ask(
        _ method: HTTPMethod, _ path: String, query: [(String, String)] = [], body: (any Encodable & Sendable)? = nil,
        headers: [(String, String)] = [], timeout: Duration = .seconds(30), expecting: Set<Int> = [],
        notAfter: ContinuousClock.Instant? = nil, limit: Int = answerLimit
    ) async throws -> Answer? {
        let prefix = "/v\(try await negotiate())"
        var request = self.request(method, prefix + path, query: query)
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        if let body {
            request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body)))
        }
        if let notAfter, ContinuousClock.now > notAfter { return nil }
        var answer = try await send(request, timeout: timeout, limit: limit)
        // Podman, while another request is making a container of that name.
        if answer.status == 500, String(decoding: answer.body.prefix(4096), as: UTF8.self).contains("name is already in use") { answer.status = 409 }
        guard (200..<300).contains(answer.status) || answer.status == 304 || expecting.contains(answer.status) else {
            // An upgraded or downgraded daemon may speak other versions.
            if answer.status == 400 { version.withLock { $0 = nil } }
            throw refused(answer, "\(method) \(path)")
        }
        return answer
    }

    /// A JSON answer; nil for 404.
    func get<T: Decodable>(_ path: String, query: [(String, String)] = [], as type: T.Type = T.self) async throws -> T? {
        guard let answer = try await ask(.GET, path, query: query, expecting: [404]), answer.status != 404 else { return nil }
        return try decode(answer.body, path)
    }

    func decode<T: Decodable>(_ body: [UInt8], _ path: String, as type: T.Type = T.self) throws -> T {
        do { return try JSONDecoder().decode(T.self, from: Data(body)) } catch {
            throw DeployerError(
                .targetUnreachable, "\(host) does not answer \(path) as Docker does: \(error)",
                hint: "is it the API of Docker 20.10 or later, or of Podman 4 or later?")
        }
    }

    /// Reads an answer that is one JSON document a line, as long as it takes; `body` sees each line, of at most 64 KiB.
    func stream(
        _ method: HTTPMethod, _ path: String, query: [(String, String)], headers: [(String, String)], timeout: Duration,
        _ body: ([UInt8]) throws -> Void
    ) async throws {
        var request = self.request(method, "/v\(try await negotiate())" + path, query: query)
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        let response = try await execute(request, timeout: timeout)
        guard response.status == .ok else {
            let bytes = try await collect(response, limit: 64 << 10)
            throw refused(Answer(status: Int(response.status.code), body: bytes), "\(method) \(path)")
        }
        var line: [UInt8] = []
        do {
            for try await chunk in response.body {
                for byte in chunk.readableBytesView {
                    if byte == UInt8(ascii: "\n") {
                        if !line.isEmpty { try body(line) }
                        line.removeAll(keepingCapacity: true)
                    } else if line.count < 64 << 10 {
                        line.append(byte)
                    }
                }
            }
        } catch let error as HTTPClientError {
            throw unreachable(error)
        }
        if !line.isEmpty { try body(line) }
    }

    /// Reads the output of a program for as long as it has time; the first `limit` bytes are kept.
    ///
    /// - Returns: what came, and whether that was all.
    func attach(
        _ path: String, body: any Encodable & Sendable, limit: Int, timeout: Duration
    ) async throws -> (output: [UInt8], isComplete: Bool) {
        var request = self.request(.POST, "/v\(try await negotiate())" + path, query: [])
        request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
        request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body)))
        let asked = request
        let output = ProgramOutput(limit: limit)
        let isComplete: Bool? = try await within(timeout) { [self] in
            let response = try await execute(asked, timeout: timeout + .seconds(30))
            guard response.status == .ok else {
                throw refused(Answer(status: Int(response.status.code), body: try await collect(response, limit: 64 << 10)), "POST \(path)")
            }
            do {
                for try await chunk in response.body { output.add(chunk) }
            } catch {
                throw unreachable(error)
            }
            return true
        }
        return (output.bytes, isComplete ?? false)
    }

    /// What `GET /_ping` says, without asking twice. Every request begins here: what has to be waited for is waited for here, so that
    /// a bound on its beginning holds.
    func negotiate() async throws -> DockerVersion {
        try await forward?.opened()
        if let version = version.withLock({ $0 }) { return version }
        let response = try await execute(request(.GET, "/_ping", query: []), timeout: .seconds(10))
        _ = try await collect(response, limit: 4096)
        guard response.status == .ok, let found = response.headers.first(name: "Api-Version").flatMap({ DockerVersion(parsing: $0) }) else {
            throw DeployerError(
                .targetUnreachable, "\(host) answered \(response.status.code) without a version of the Docker API",
                hint: "is this the socket of dockerd, or of 'podman system service'?")
        }
        guard found >= Self.oldest else {
            throw DeployerError(
                .targetUnreachable, "\(host) speaks version \(found) of the Docker API, and \(Self.oldest) is needed",
                hint: "update it to Docker 20.10 or later, or Podman 4 or later")
        }
        let used = min(found, Self.newest)
        version.withLock { $0 = used }
        return used
    }

    private func request(_ method: HTTPMethod, _ path: String, query: [(String, String)]) -> HTTPClientRequest {
        let tail = query.map { "\(DockerHost.escape($0.0))=\(DockerHost.escape($0.1))" }.joined(separator: "&")
        let whole = path + (tail.isEmpty ? "" : "?" + tail)
        let url = forward.map { DockerHost.url(socket: $0.socket.string, whole) } ?? host.url(whole, secure: tls != nil)
        var request = HTTPClientRequest(url: url)
        request.method = method
        request.tlsConfiguration = tls?.configuration
        request.headers.replaceOrAdd(name: "Host", value: "docker")
        request.headers.replaceOrAdd(name: "User-Agent", value: "slipway")
        // A kept connection may be one that the daemon, restarted meanwhile, has closed.
        request.headers.replaceOrAdd(name: "Connection", value: "close")
        return request
    }

    private func send(_ request: HTTPClientRequest, timeout: Duration, limit: Int = answerLimit) async throws -> Answer {
        let response = try await execute(request, timeout: timeout)
        return Answer(status: Int(response.status.code), body: try await collect(response, limit: limit))
    }

    private func execute(_ request: HTTPClientRequest, timeout: Duration) async throws -> HTTPClientResponse {
        do { return try await client.execute(request, deadline: .now() + .init(timeout)) } catch { throw unreachable(error) }
    }

    private func collect(_ response: HTTPClientResponse, limit: Int) async throws -> [UInt8] {
        do { return Array(try await response.body.collect(upTo: limit).readableBytesView) } catch { throw unreachable(error) }
    }

    private func unreachable(_ error: any Error) -> any Error {
        if error is CancellationError || Task.isCancelled { return CancellationError() }
        let hint =
            switch host.endpoint {
            case .unix(let path): "does dockerd run, and may this user use \(path)?"
            case .tcp: "does dockerd listen there with TLS, and do the certificates fit?"
            case .ssh(let remote):
                "does dockerd run there, may \(remote) use \(remote.path), and does sshd there allow it (AllowStreamLocalForwarding)?"
                    + (forward.map { $0.words.isEmpty ? "" : " ssh says: \($0.words)" } ?? "")
            }
        return DeployerError(.targetUnreachable, "the docker host \(host) does not answer: \(error)", hint: hint)
    }

    private func refused(_ answer: Answer, _ what: String) -> DeployerError {
        struct Problem: Decodable { var message: String }
        let words =
            (try? JSONDecoder().decode(Problem.self, from: Data(answer.body)))?.message
            ?? String(decoding: answer.body.prefix(500), as: UTF8.self)
        return DeployerError(
            .instanceFailed, "the docker host \(host) answered \(answer.status) to \(what): \(words)",
            hint: "the daemon's log on that host says more")
    }
}

/// What a program has written so far, the first `limit` bytes.
private final class ProgramOutput: Sendable {
    private let limit: Int
    private let text = Mutex<[UInt8]>([])

    init(limit: Int) { self.limit = limit }

    var bytes: [UInt8] { text.withLock { $0 } }
    func add(_ chunk: ByteBuffer) { text.withLock { $0 += chunk.readableBytesView.prefix(max(0, limit - $0.count)) } }
}

/// A version of the Engine API, such as 1.41.
struct DockerVersion: Comparable, CustomStringConvertible {
    var major: Int
    var minor: Int

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    init?(parsing text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]), major >= 0, minor >= 0 else { return nil }
        self.init(major: major, minor: minor)
    }

    static func < (left: DockerVersion, right: DockerVersion) -> Bool { (left.major, left.minor) < (right.major, right.minor) }
    var description: String { "\(major).\(minor)" }
}
