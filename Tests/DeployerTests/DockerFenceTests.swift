import AsyncHTTPClient
import DockerDaemon
import Foundation
import HTTPTypes
import Hummingbird
import ImageStore
import Logging
import LoopbackServer
import NIOCore
import NIOHTTP1
import Synchronization
import SystemPackage
import Testing

@testable import Deployer

/// What an old holder can still do when the next one comes between two of its requests. The old one reaches its daemon through a
/// go-between, in which the other one acts. Needs root, docker.io, curl and iproute2.
@Suite(.serialized) struct DockerFenceTests {
    let old = Claim(deployment: "d1", epoch: 1)
    let new = Claim(deployment: "d1", epoch: 2)

    @Test func aContainerMadeAfterTheTakeoverNeverRuns() async throws {
        try await withGoBetween { bench, target, through, between in
            try await through.admit(old)
            // It looked, and sends its request: then the next one comes.
            between.before("/containers/create") { try await target.admit(new) }
            try await refused { try await through.start(bench.instance(), by: old) }
            #expect(try await target.observe(deployment: "d1").isEmpty)
            try await target.start(bench.instance(), by: new)
            #expect(try await bench.state(target) == [.running])
        }
    }

    @Test func whatWasRemovedDoesNotStartAgain() async throws {
        try await withGoBetween { bench, target, through, between in
            try await through.admit(old)
            // Made, looked, about to start it: the next one comes and takes everything away.
            between.before("/start") {
                try await target.admit(new)
                try await target.stop(deployment: "d1", grace: .zero, by: new)
            }
            try await refused { try await through.start(bench.instance(), by: old) }
            #expect(try await target.observe(deployment: "d1").isEmpty)
        }
    }

    @Test func whatTheNextOneHasTakenOverIsLeftToIt() async throws {
        try await withGoBetween { bench, target, through, between in
            try await through.admit(old)
            // Between making it and looking again: the next one finds it made, and starts it.
            between.after("/containers/create") {
                try await target.admit(new)
                try await target.start(bench.instance(), by: new)
            }
            try await refused { try await through.start(bench.instance(), by: old) }
            #expect(try await bench.state(target) == [.running])
        }
    }

    @Test func whoSleptAfterLookingLooksAgain() async throws {
        try await withGoBetween { bench, target, through, between in
            try await through.admit(old)
            try await through.start(bench.instance(), by: old)
            // The answer to its look arrives late: true when it was given, not any more.
            between.after("/volumes") {
                try await target.admit(new)
                try await Task.sleep(for: .milliseconds(300))
            }
            try await refused { try await through.stop(instance: bench.instance().id, grace: .zero, by: old) }
            #expect(try await bench.state(target) == [.running])
        }
    }

    /// The server is killed when the daemon has done what it asked for, before it hears of it.
    @Test(arguments: ["/volumes/create", "/images/create", "/containers/create", "/start", "/stop", "/containers/"])
    func answersThatNeverCome(path: String) async throws {
        try await withGoBetween { bench, target, through, between in
            between.after(path) { throw CancellationError() }
            do {
                try await through.admit(old)
                try await through.start(bench.instance(), by: old)
                try await through.stop(deployment: "d1", grace: .seconds(2), by: old)
                Issue.record("\(path) was not asked")
            } catch is DeployerError {}
            try await target.admit(old)
            // What was begun is repeated.
            if !["/stop", "/containers/"].contains(path) {
                try await target.start(bench.instance(), by: old)
                #expect(try await bench.state(target) == [.running])
            }
            try await target.stop(deployment: "d1", grace: .seconds(2), by: old)
            #expect(try await target.observe(deployment: "d1").isEmpty)
        }
    }

    private func refused(_ body: () async throws -> Void) async throws {
        do {
            try await body()
            Issue.record("it was let do it")
        } catch let error as DeployerError {
            #expect(error.code == .staleHolder, "\(error)")
        }
    }

    private func withGoBetween(
        _ body: @escaping @Sendable (TargetBench, DockerTarget, DockerTarget, GoBetween) async throws -> Void
    ) async throws {
        let folder = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("df-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try ImageStore(root: FilePath(folder.path).appending("store"))
        let image = try await TargetBench.makeImage(in: store, folder)
        try await withRegistry(store) { registry in
            try await DockerDaemon.with(folder.appendingPathComponent("d"), network: 5) { daemon in
                try await withDockerClient { client in
                    let between = GoBetween(socket: daemon.socket, client: client)
                    try await serve(between.router()) { port in
                        // Published on loopback, as it is reached by TCP; the other one finds the same containers by the socket.
                        let hosts = ["unix://\(daemon.socket)?address=127.0.0.1", "tcp://127.0.0.1:\(port)"]
                        let targets = try hosts.map { TargetBench.docker([try DockerHost(parsing: $0)], registry, client) }
                        let bench = TargetBench(make: { targets[0] }, makeForeign: { _ in }, removeForeign: { _ in }, image: image)
                        try await body(bench, targets[0], targets[1], between)
                    }
                }
            }
        }
    }
}

/// Passes requests on to a daemon, and does something once before or after one of them.
final class GoBetween: Sendable {
    typealias Act = @Sendable () async throws -> Void
    private let socket: String
    private let client: HTTPClient
    private let acts = Mutex<(before: (String, Act)?, after: (String, Act)?)>((nil, nil))

    init(socket: String, client: HTTPClient) {
        self.socket = socket
        self.client = client
    }

    /// - Parameter path: a part of the path of a request that changes something; `/volumes` is a look.
    func before(_ path: String, _ act: @escaping Act) { acts.withLock { $0.before = (path, act) } }
    func after(_ path: String, _ act: @escaping Act) { acts.withLock { $0.after = (path, act) } }

    func router() -> Hummingbird.Router<BasicRequestContext> {
        let router = Hummingbird.Router(context: BasicRequestContext.self)
        router.add(middleware: Passing(between: self))
        return router
    }

    private func take(_ request: Request, _ side: WritableKeyPath<(before: (String, Act)?, after: (String, Act)?), (String, Act)?>) -> Act? {
        acts.withLock { acts in
            guard let (path, act) = acts[keyPath: side] else { return nil }
            let changes = request.method != .get
            let fits = path == "/volumes" ? !changes && request.uri.path.hasSuffix(path) : changes && request.uri.path.contains(path)
            // Anything below `/containers/` would also be what starts and stops them: it stands for the removal.
            guard fits, path != "/containers/" || request.method == .delete else { return nil }
            acts[keyPath: side] = nil
            return act
        }
    }

    fileprivate func pass(_ request: Request) async throws -> Response {
        if let act = take(request, \.before) { try await act() }
        let host = try DockerHost(parsing: "unix://\(socket)")
        var passed = HTTPClientRequest(url: host.url(request.uri.string, secure: false))
        passed.method = HTTPMethod(rawValue: request.method.rawValue)
        passed.headers.add(name: "Host", value: "docker")
        passed.headers.add(name: "Connection", value: "close")
        for field in request.headers where ["content-type", "x-registry-auth"].contains(field.name.canonicalName) {
            passed.headers.add(name: field.name.rawName, value: field.value)
        }
        passed.body = .bytes(try await request.body.collect(upTo: 1 << 20))
        let answer = try await client.execute(passed, timeout: .seconds(60))
        let body = try await answer.body.collect(upTo: 8 << 20)
        if let act = take(request, \.after) { try await act() }
        var response = Response(status: .init(code: Int(answer.status.code)), body: .init(byteBuffer: body))
        if let version = answer.headers.first(name: "Api-Version"), let name = HTTPField.Name("Api-Version") { response.headers[name] = version }
        return response
    }
}

private struct Passing: RouterMiddleware {
    let between: GoBetween

    func handle(
        _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        try await between.pass(request)
    }
}
