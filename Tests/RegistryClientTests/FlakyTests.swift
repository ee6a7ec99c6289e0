import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import ImageStore
import LoopbackServer
import NIOCore
import OCIModel
import RegistryClient
import RegistryServer
import SystemPackage
import Testing

/// Registries in trouble.
struct FlakyTests {
    /// Answers some requests with 503, and the others properly.
    private struct Busy: RouterMiddleware {
        let count: Locked<Int>
        func handle(
            _ request: Request, context: BasicRequestContext,
            next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            let number = count.with { value in
                value += 1; return value
            }
            if [1, 2, 5, 7, 8, 11, 13].contains(number) { return Response(status: .serviceUnavailable, headers: [.retryAfter: "7"]) }
            return try await next(request, context)
        }
    }

    @Test func waitsAsLongAsAsked() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let image = try await here.makeImage(9, layers: [100])
            let pauses = Pauses()
            try await withOurRegistry(there, middleware: Busy(count: Locked(0))) { port in
                _ = try await client(port, attempts: 20, pauses: pauses).push(image, from: here, to: repository("shop/app"), tag: tag("v1"))
            }
            #expect(try await there.isWhole(image))
            #expect(pauses.all.count > 4 && pauses.all.allSatisfy { $0 >= .seconds(7) && $0 < .seconds(8) })
        }
    }

    @Test func givesUpOnAnsweringNobody() async throws {
        let client = try RegistryClient(host: "127.0.0.1:1", connections: connections, logger: quiet)
        let error = await #expect(throws: RegistryError.self) {
            try await client.resolve(repository: repository("shop/app"), tag: tag("v1"))
        }
        #expect(error?.code == .unreachable && error?.message.contains("127.0.0.1:1/shop/app:v1") == true)
    }

    @Test func brokenConnectionsAreRepeatedAndResumed() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let back = try ImageStore(root: FilePath(folder.path + "/back"))
            let name = try repository("shop/app")
            let image = try await here.makeImage(10, layers: [8_000_000, 100])
            try await withOurRegistry(there) { upstream in
                let limits = Locked([0, 1_500_000, 900_000, 2_000_000])
                try await cutting(upstream, after: limits) { port in
                    _ = try await client(port, attempts: 8).push(image, from: here, to: name, tag: tag("v1"))
                }
                #expect(try await there.isWhole(image))
                let more = Locked([5_000_000, 3_000_000])
                try await cutting(upstream, after: more) { port in
                    let events = Locked<[Int64]>([])
                    _ = try await client(port, attempts: 8).pull(name, .tag(tag("v1")), into: back, as: name) { event in
                        if event.total == 8_000_000, event.step == .transferring { events.with { $0.append(event.completed) } }
                    }
                    // A resumed download never goes back.
                    #expect(events.with { zip($0, $0.dropFirst()).allSatisfy { $0 <= $1 } })
                }
                #expect(try await back.isWhole(image))
            }
        }
    }

    @Test func hugeErrorBodiesAreCapped() async throws {
        let router = Router()
        router.get("/v2/**") { _, _ -> Response in
            let chunk = ByteBuffer(repeating: 0x20, count: 1 << 20)
            return Response(
                status: .badRequest,
                body: ResponseBody { writer in
                    for _ in 0..<100_000 { try await writer.write(chunk) }
                    try await writer.finish(nil)
                })
        }
        try await serve(router) { port in
            try await withFolder { folder in
                let store = try ImageStore(root: FilePath(folder.path))
                let error = await #expect(throws: RegistryError.self) {
                    try await client(port).pull(repository("a"), .tag(tag("v1")), into: store, as: repository("a"))
                }
                #expect(error?.code == .rejected)
            }
        }
    }

    @Test func credentialsStayAtTheirRegistry() async throws {
        try await withFolder { folder in
            let store = try ImageStore(root: FilePath(folder.path + "/store"))
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let leaked = Locked<[String]>([])
            let name = try repository("shop/app")
            let image = try await store.makeImage(11, layers: [1000])
            try await store.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await store.tag(tag("v1"), as: image, in: name)
            let elsewhere: RegistryAuthorization = { request, _, _ in
                if let header = request.headers[.authorization] { leaked.with { $0.append(header) } }
                return true
            }
            try await withOurRegistry(store, authorize: elsewhere) { other in
                let front = Router()
                for path in ["/v2/**"] as [RouterPath] {
                    front.get(path) { request, _ -> Response in
                        guard request.headers[.authorization] != nil else {
                            return Response(status: .unauthorized, headers: [.wwwAuthenticate: "Basic realm=x"])
                        }
                        return .redirect(to: "http://127.0.0.1:\(other)\(request.uri.path)", type: .temporary)
                    }
                }
                try await serve(front) { port in
                    _ = try await client(port, .basic(user: "a", password: "b")).pull(name, .tag(tag("v1")), into: here, as: name)
                }
            }
            #expect(try await here.isWhole(image))
            #expect(leaked.with { $0 }.isEmpty)
        }
    }
}
