import Foundation
import HTTPTypes
import Hummingbird
import ImageStore
import LoopbackServer
import NIOCore
import OCIModel
import RegistryServer
import SystemPackage
import Testing

@testable import RegistryClient

/// How registries are reached: certificates, mirrors, proxies, identity tokens.
struct ReachTests {
    private func openssl(_ arguments: [String]) async throws { try await run("openssl", arguments, package: "openssl") }

    /// Makes `ca.pem`, and `name.pem` with `name.key` signed by it.
    private func certificates(_ names: [String], in folder: URL) async throws {
        let path = folder.path
        try await openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=ca", "-keyout",
            "\(path)/ca.key", "-out", "\(path)/ca.pem",
        ])
        for name in names {
            try await openssl([
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=\(name)",
                "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-CA",
                "\(path)/ca.pem", "-CAkey", "\(path)/ca.key", "-keyout", "\(path)/\(name).key", "-out", "\(path)/\(name).pem",
            ])
        }
    }

    @Test func ownCertificatesOnBothSides() async throws {
        try await withFolder { folder in
            try await certificates(["server", "client"], in: folder)
            let path = folder.path
            let tls = "tls: {certificate: \(path)/server.pem, key: \(path)/server.key, clientcas: [\(path)/ca.pem]}"
            try await withDockerRegistry(tls: tls) { port in
                let store = try ImageStore(root: FilePath(path + "/store"))
                let image = try await store.makeImage(21, layers: [2000])
                let root = FilePath(path)
                let full = RegistrySettings(
                    plainHTTP: false, certificateAuthority: root.appending("ca.pem"), clientCertificate: root.appending("client.pem"),
                    clientKey: root.appending("client.key"))
                let result = try await client(port, settings: full).push(image, from: store, to: repository("a"), tag: tag("v1"))
                #expect(result.blobsUploaded == 2)
                for settings in [
                    RegistrySettings(plainHTTP: false), RegistrySettings(plainHTTP: false, certificateAuthority: root.appending("ca.pem")),
                ] {
                    let error = await #expect(throws: RegistryError.self) {
                        try await client(port, attempts: 1, settings: settings).resolve(repository: repository("a"), tag: tag("v1"))
                    }
                    #expect(error?.code == .unreachable)
                }
                for settings in [
                    RegistrySettings(certificateAuthority: root.appending("none.pem")),
                    RegistrySettings(certificateAuthority: root.appending("ca.key")),
                    RegistrySettings(clientCertificate: root.appending("client.pem")),
                    RegistrySettings(clientCertificate: root.appending("client.pem"), clientKey: root.appending("ca.pem")),
                ] {
                    let error = #expect(throws: RegistryError.self) { try client(port, settings: settings) }
                    #expect(error?.code == .invalidSettings && error?.message.contains("127.0.0.1:\(port)") == true)
                }
            }
        }
    }

    @Test func mirrorsGiveWhatTheyHaveAndTheRegistryTheRest() async throws {
        try await withFolder { folder in
            let origin = try ImageStore(root: FilePath(folder.path + "/origin"))
            let mirror = try ImageStore(root: FilePath(folder.path + "/mirror"))
            let name = try repository("shop/app")
            let image = try await origin.makeImage(22, layers: [50_000, 70_000])
            let stale = try await mirror.makeImage(23, layers: [100])
            let manifest = try OCIJSON.decode(Manifest.self, from: try await origin.read(image))
            try await origin.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await origin.tag(tag("v1"), as: image, in: name)
            try await mirror.write(try await origin.read(manifest.layers[0].digest))
            try await mirror.write(try await origin.read(manifest.layers[1].digest))
            let damaged = Data(repeating: 0, count: Int(manifest.layers[1].size))
            try damaged.write(to: URL(fileURLWithPath: mirror.path(of: manifest.layers[1].digest).string))
            // The mirror has the manifest, one layer whole and one damaged, and lets the tag name an old image.
            try await mirror.write(try await origin.read(image))
            try await mirror.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await mirror.record(manifest: stale, mediaType: MediaType.ociManifest, in: name)
            try await mirror.tag(tag("v1"), as: stale, in: name)
            let served = Locked<[String]>([])
            try await withOurRegistry(origin, middleware: Recorder(requests: served)) { originPort in
                try await withOurRegistry(mirror) { mirrorPort in
                    let client = try RegistryClient(
                        host: "127.0.0.1:\(originPort)", mirrors: [try client(1), try client(mirrorPort)], connections: connections, logger: quiet)
                    let back = try ImageStore(root: FilePath(folder.path + "/back"))
                    #expect(try await client.pull(name, .tag(tag("v1")), into: back, as: name) == image)
                    #expect(try await back.isWhole(image))
                    let asked = served.with { $0 }
                    #expect(!asked.contains("GET /v2/shop/app/blobs/\(manifest.layers[0].digest)"))
                    #expect(asked.contains("GET /v2/shop/app/blobs/\(manifest.layers[1].digest)"))
                    // A push never goes to a mirror.
                    let more = try await back.makeImage(24, layers: [10])
                    _ = try await client.push(more, from: back, to: name, tag: tag("v2"))
                    #expect(try await origin.resolve(tag("v2"), in: name) == more)
                    #expect(try await mirror.resolve(tag("v2"), in: name) == nil)
                }
            }
            // Without the registry the mirror's word on the tag has to do.
            try await withOurRegistry(mirror) { mirrorPort in
                let client = try RegistryClient(host: "127.0.0.1:1", mirrors: [try client(mirrorPort)], connections: connections, logger: quiet)
                let back = try ImageStore(root: FilePath(folder.path + "/late"))
                #expect(try await client.pull(name, .tag(tag("v1")), into: back, as: name) == stale)
            }
        }
    }

    private struct Recorder: RouterMiddleware {
        let requests: Locked<[String]>
        func handle(
            _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            requests.with { $0.append("\(request.method.rawValue) \(request.uri.path)") }
            return try await next(request, context)
        }
    }

    @Test func identityTokensAreExchanged() async throws {
        try await withFolder { folder in
            let store = try ImageStore(root: FilePath(folder.path))
            let posted = Locked<[String]>([])
            let tokens = Router()
            tokens.post("/token") { request, _ -> Response in
                let body = String(buffer: try await request.body.collect(upTo: 10_000))
                posted.with { $0.append(body) }
                guard body.contains("refresh_token=ref%2Bresh") || body.contains("refresh_token=next") else { return Response(status: .unauthorized) }
                return Response(
                    status: .ok, body: .init(byteBuffer: .init(string: #"{"access_token":"good","expires_in":300,"refresh_token":"next"}"#)))
            }
            try await serve(tokens) { tokenPort in
                let router = Router()
                router.add(
                    middleware: TokenGate(realm: "http://127.0.0.1:\(tokenPort)/token"))
                addRegistryRoutes(to: router, store: store) { _, _, _ in true }
                try await serve(router) { port in
                    let client = try client(port, .identityToken("ref+resh"))
                    let image = try await store.makeImage(25, layers: [10])
                    _ = try await client.push(image, from: store, to: repository("a"), tag: tag("v1"))
                    #expect(try await client.resolve(repository: repository("a"), tag: tag("v1"))?.digest == image)
                    let error = await #expect(throws: RegistryError.self) {
                        try await RegistryClientTests.client(port, .identityToken("wrong")).resolve(repository: repository("a"), tag: tag("v1"))
                    }
                    #expect(error?.code == .unauthorized && error?.description.contains("wrong") == false)
                }
            }
            let forms = posted.with { $0 }
            #expect(forms.count == 3 && forms[0].contains("grant_type=refresh_token") && forms[0].contains("service=gate"))
            #expect(forms[0].contains("scope=repository:a:pull,push") && forms[1].contains("refresh_token=next"))
        }
    }

    private struct TokenGate: RouterMiddleware {
        let realm: String
        func handle(
            _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            if request.headers[.authorization] == "Bearer good" { return try await next(request, context) }
            return Response(status: .unauthorized, headers: [.wwwAuthenticate: #"Bearer realm="\#(realm)",service="gate""#])
        }
    }

    @Test func proxiesCarryTheConnection() async throws {
        try await withFolder { folder in
            let store = try ImageStore(root: FilePath(folder.path))
            let image = try await store.makeImage(26, layers: [10])
            try await store.record(manifest: image, mediaType: MediaType.ociManifest, in: repository("a"))
            try await store.tag(tag("v1"), as: image, in: repository("a"))
            try await withOurRegistry(store) { port in
                let asked = Locked<[String]>([])
                try await connectProxy(to: port, asked: asked) { proxyPort in
                    let proxied = RegistryConnections(
                        proxies: try ProxySettings(environment: ["HTTP_PROXY": "http://user:pw@127.0.0.1:\(proxyPort)"]))
                    let client = try RegistryClient(
                        host: "registry.example.com:5000", settings: RegistrySettings(plainHTTP: true), connections: proxied, logger: quiet)
                    let found = try? await client.resolve(repository: repository("a"), tag: tag("v1"))
                    try await proxied.shutdown()
                    #expect(found?.digest == image)
                }
                let login = Data("user:pw".utf8).base64EncodedString()
                #expect(asked.with { $0 }.first?.hasPrefix("CONNECT registry.example.com:5000 HTTP/1.1") == true)
                #expect(asked.with { $0 }.first?.lowercased().contains("proxy-authorization: basic \(login.lowercased())") == true)
            }
        }
    }
}
