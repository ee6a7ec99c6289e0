import AsyncHTTPClient
import Foundation
import Hummingbird
import ImageStore
import Logging
import LoopbackServer
import OCIModel
import RegistryClient
import RegistryServer
import SystemPackage
import Testing

let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// A temporary folder, removed afterwards.
func withFolder<T>(_ body: (URL) async throws -> T) async throws -> T {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("registry-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}

/// Our registry over a store in `folder`, while `body` runs with its `host:port`.
func withOurRegistry<T: Sendable>(
    _ store: ImageStore, authorize: @escaping RegistryAuthorization = { _, _, _ in true },
    middleware: (any MiddlewareProtocol<Request, Response, BasicRequestContext>)? = nil,
    _ body: @escaping @Sendable (Int) async throws -> T
) async throws -> T {
    let router = Router(context: BasicRequestContext.self)
    if let middleware { router.add(middleware: middleware) }
    addRegistryRoutes(to: router, store: store, authorize: authorize)
    return try await serve(router, body)
}

func client(
    _ port: Int, _ credentials: RegistryCredentials? = nil, attempts: Int = 3, pauses: Pauses = Pauses(),
    settings: RegistrySettings = RegistrySettings()
) throws -> RegistryClient {
    try RegistryClient(
        host: "127.0.0.1:\(port)", settings: settings, credentials: credentials, connections: connections, logger: quiet,
        retry: RetryPolicy(attempts: attempts) { pauses.note($0) })
}

/// Lives as long as the tests.
let connections = RegistryConnections()

/// Stands in for waiting, and remembers how long it would have been.
final class Pauses: Sendable {
    private let values = Locked<[Duration]>([])
    func note(_ duration: Duration) { values.with { $0.append(duration) } }
    var all: [Duration] { values.with { $0 } }
}

final class Locked<Value: Sendable>: @unchecked Sendable {
    // Every access holds the lock.
    private var value: Value
    private let lock = NSLock()
    init(_ value: Value) { self.value = value }
    func with<T>(_ body: (inout Value) -> T) -> T { lock.withLock { body(&value) } }
}

extension ImageStore {
    /// An image with layers of these sizes; `seed` makes it different from others.
    func makeImage(_ seed: UInt8, layers: [Int] = [3_000_000, 1000, 0]) async throws -> Digest {
        var descriptors: [Descriptor] = []
        for size in layers {
            var state = UInt32(seed) &+ UInt32(size)
            let bytes = (0..<size).map { _ -> UInt8 in
                state = state &* 1_664_525 &+ 1_013_904_223
                return UInt8(truncatingIfNeeded: state >> 24)
            }
            descriptors.append(Descriptor(mediaType: MediaType.ociLayer, digest: try await write(bytes), size: Int64(size)))
        }
        let config = try OCIJSON.encode(
            ImageConfig(architecture: "amd64", os: "linux", config: .init(cmd: ["\(seed)"]), rootfs: RootFS(diffIDs: descriptors.map(\.digest))))
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: try await write(config), size: Int64(config.count)),
            layers: descriptors)
        return try await write(try OCIJSON.encode(manifest))
    }

    func makeIndex(_ images: [(Digest, Platform)]) async throws -> Digest {
        var entries: [Descriptor] = []
        for (digest, platform) in images {
            entries.append(
                Descriptor(mediaType: MediaType.ociManifest, digest: digest, size: try size(of: digest) ?? 0, platform: platform))
        }
        return try await write(try OCIJSON.encode(Index(manifests: entries)))
    }

    /// Whether the image and everything it refers to is here.
    func isWhole(_ image: Digest) async throws -> Bool {
        let manifest = try OCIJSON.decode(Manifest.self, from: try await read(image))
        return try ([manifest.config] + manifest.layers).allSatisfy { try size(of: $0.digest) == $0.size }
    }
}

func repository(_ text: String) throws -> RepositoryName { try RepositoryName(parsing: text) }
func tag(_ text: String) throws -> OCIModel.Tag { try OCIModel.Tag(parsing: text) }
