import AsyncHTTPClient
import Foundation
import Hummingbird
import ImageStore
import LoopbackServer
import NIOCore
import NIOHTTP1
import OCIModel
import RegistryServer
import SystemPackage

/// Our registry on a loopback port of its own over a temporary store.
struct Fixture: Sendable {
    let store: ImageStore
    let port: Int

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let body: String
    }

    static func run(
        uploadKey: [UInt8]? = nil, limits: RegistryLimits = RegistryLimits(), metrics: RegistryMetrics = RegistryMetrics(),
        authorize: @escaping RegistryAuthorization = { _, _, _ in true },
        _ body: @escaping @Sendable (Fixture) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("registry-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try ImageStore(root: FilePath(folder.path))
        let router = Router()
        addRegistryRoutes(to: router, store: store, uploadKey: uploadKey, limits: limits, metrics: metrics, authorize: authorize)
        try await serve(router) { port in try await body(Fixture(store: store, port: port)) }
    }

    func send(
        _ method: HTTPMethod, _ path: String, _ headers: HTTPHeaders = [:], body: [UInt8]? = nil
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: path.hasPrefix("/") ? "http://127.0.0.1:\(port)\(path)" : path)
        request.method = method
        request.headers = headers
        if let body { request.body = .bytes(body) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(120))
        let bytes = try await response.body.collect(upTo: 64 << 20)
        return Answer(status: Int(response.status.code), headers: response.headers, body: String(buffer: bytes))
    }

    /// Pushes a blob in one request.
    func pushBlob(_ bytes: [UInt8], to name: String = "shop/app") async throws -> Descriptor {
        let digest = Digest.sha256(bytes)
        _ = try await send(.POST, "/v2/\(name)/blobs/uploads/?digest=\(digest)", body: bytes)
        return Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: Int64(bytes.count))
    }

    func pushImage(_ tag: String, to name: String = "shop/app", subject: Descriptor? = nil) async throws -> Digest {
        let layer = try await pushBlob(Array("layer \(tag)".utf8), to: name)
        var config = try await pushBlob(Array("{}".utf8), to: name)
        config.mediaType = MediaType.emptyJSON
        let manifest = Manifest(artifactType: subject == nil ? nil : "application/x.test", config: config, layers: [layer], subject: subject)
        let bytes = try OCIJSON.encode(manifest)
        _ = try await send(.PUT, "/v2/\(name)/manifests/\(tag)", ["Content-Type": MediaType.ociManifest], body: bytes)
        return Digest.sha256(bytes)
    }
}

func code(_ answer: Fixture.Answer) -> String? {
    struct Body: Decodable {
        struct Entry: Decodable { let code: String }
        let errors: [Entry]
    }
    return (try? JSONDecoder().decode(Body.self, from: Data(answer.body.utf8)))?.errors.first?.code
}
