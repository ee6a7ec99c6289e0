import Foundation
import HTTPTypes
import Hummingbird
import ImageStore
import OCIModel
import RegistryClient
import RegistryServer
import SystemPackage
import Testing

/// Registries differ in how they take uploads.
struct UploadFormTests {
    /// Changes requests and answers of uploads, and notes what came.
    private struct Quirk: RouterMiddleware {
        let seen: Locked<[(method: String, length: Int, range: String?)]>
        var refuse: @Sendable (Request, Int) -> HTTPResponse.Status? = { _, _ in nil }
        var change: @Sendable (Request, inout HTTPFields) -> Void = { _, _ in }

        func handle(
            _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            guard request.uri.path.contains("/blobs/uploads") else { return try await next(request, context) }
            let length = request.headers[.contentLength].flatMap { Int($0) } ?? 0
            seen.with { $0.append((request.method.rawValue, length, request.headers[.contentRange])) }
            if let status = refuse(request, length) { return Response(status: status) }
            var response = try await next(request, context)
            change(request, &response.headers)
            return response
        }
    }

    private static let range = HTTPField.Name("Range") ?? .contentRange
    private static let minimum = HTTPField.Name("OCI-Chunk-Min-Length") ?? .contentRange

    /// Pushes an image with one layer of 5 MiB and some in chunks of 1 MiB; returns the requests with large bodies.
    private func push(
        refuse: @escaping @Sendable (Request, Int) -> HTTPResponse.Status? = { _, _ in nil },
        change: @escaping @Sendable (Request, inout HTTPFields) -> Void = { _, _ in }
    ) async throws -> [String] {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let name = try repository("shop/app")
            let image = try await here.makeImage(51, layers: [(5 << 20) + 77])
            let seen = Locked<[(method: String, length: Int, range: String?)]>([])
            try await withOurRegistry(there, middleware: Quirk(seen: seen, refuse: refuse, change: change)) { port in
                _ = try await client(port, attempts: 4, settings: RegistrySettings(chunkSize: 1 << 20))
                    .push(image, from: here, to: name, tag: tag("v1"))
            }
            #expect(try await there.isWhole(image))
            return seen.with { $0.filter { $0.length > 5000 || $0.range != nil }.map { "\($0.method) \($0.length) \($0.range ?? "-")" } }
        }
    }

    @Test func chunksFollowEachOther() async throws {
        let requests = try await push()
        #expect(requests.count == 6 && requests[0] == "PATCH 1048576 0-1048575" && requests[1] == "PATCH 1048576 1048576-2097151")
        #expect(requests.last == "PUT 77 5242880-5242956")
    }

    @Test func chunksAreAsLongAsTheRegistryWants() async throws {
        let requests = try await push(change: { request, headers in if request.method == .post { headers[Self.minimum] = "3145728" } })
        #expect(requests == ["PATCH 3145728 0-3145727", "PUT 2097229 3145728-5242956"])
    }

    @Test func cappedChunksGoInOnePiece() async throws {
        let requests = try await push(refuse: { request, length in request.method == .patch && length > 500_000 ? .rangeNotSatisfiable : nil })
        #expect(requests.last == "PUT 5242957 -" && requests.count == 3)
    }

    @Test func chunksThatAreNotSupportedGoInOnePiece() async throws {
        let requests = try await push(refuse: { request, _ in request.method == .patch ? .methodNotAllowed : nil })
        #expect(requests.last == "PUT 5242957 -" && requests.count == 2)
    }

    @Test func aRangeThatStandsStillIsNotTrusted() async throws {
        let requests = try await push(change: { request, headers in if request.method == .patch { headers[Self.range] = "0-1048575" } })
        #expect(requests.last == "PUT 5242957 -")
    }

    @Test func noRangeAtAllIsBelieved() async throws {
        let requests = try await push(change: { _, headers in headers[Self.range] = nil })
        #expect(requests.count == 6 && requests.last == "PUT 77 5242880-5242956")
    }

    @Test func uploadsElsewhereGetNoCredentials() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let image = try await here.makeImage(52, layers: [10_000])
            let leaked = Locked<[String]>([])
            let authorize: RegistryAuthorization = { request, _, _ in
                // What is sent to the address that the registry named has no login with it.
                if request.method == .put, request.uri.path.contains("/blobs/uploads/") {
                    if let header = request.headers[.authorization] { leaked.with { $0.append(header) } }
                    return true
                }
                return request.headers[.authorization] != nil
            }
            let elsewhere = Quirk(seen: Locked([])) { _, _ in
                nil
            } change: { request, headers in
                guard let location = headers[.location], location.hasPrefix("/"), let host = request.head.authority else { return }
                headers[.location] = "http://localhost:\(host.split(separator: ":").last ?? "")\(location)"
            }
            try await withOurRegistry(there, authorize: authorize, middleware: elsewhere) { port in
                let result = try await client(port, .basic(user: "u", password: "p"))
                    .push(image, from: here, to: repository("shop/app"), tag: tag("v1"))
                #expect(result.blobsUploaded == 2)
            }
            #expect(leaked.with { $0 }.isEmpty)
        }
    }

    @Test func blobsOfTheBaseAreMounted() async throws {
        try await withFolder { folder in
            let store = try ImageStore(root: FilePath(folder.path))
            try await withDockerRegistry { port in
                let base = try await store.makeImage(53, layers: [400_000])
                _ = try await client(port).push(base, from: store, to: repository("shop/base"), tag: tag("v1"))
                var manifest = try OCIJSON.decode(Manifest.self, from: try await store.read(base))
                let own = try await store.write([1, 2, 3])
                manifest.layers.append(Descriptor(mediaType: MediaType.ociLayer, digest: own, size: 3))
                manifest.annotations = ["org.opencontainers.image.base.name": "127.0.0.1:\(port)/shop/base:v1"]
                let image = try await store.write(try OCIJSON.encode(manifest))
                let result = try await client(port).push(image, from: store, to: repository("shop/app"), tag: tag("v1"))
                #expect(result.blobsUploaded == 1 && result.blobsAlreadyThere == 2 && result.bytesUploaded == 3)
            }
        }
    }

    @Test func manifestsThatAreTooLargeAreRefused() async throws {
        try await withFolder { folder in
            let store = try ImageStore(root: FilePath(folder.path))
            let image = try await store.makeImage(54, layers: [10])
            var manifest = try OCIJSON.decode(Manifest.self, from: try await store.read(image))
            manifest.annotations = ["long": String(repeating: "x", count: 4 << 20)]
            let large = try await store.write(try OCIJSON.encode(manifest))
            try await withDockerRegistry { port in
                let error = await #expect(throws: RegistryError.self) {
                    try await client(port).push(large, from: store, to: repository("a"), tag: tag("v1"))
                }
                #expect(error?.code == .sizeMismatch)
                let found = try await client(port).resolve(repository: repository("a"), tag: tag("v1"))
                #expect(found == nil)
            }
        }
    }
}
