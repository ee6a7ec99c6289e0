import Foundation
import Hummingbird
import ImageStore
import LoopbackServer
import OCIModel
import RegistryClient
import RegistryServer
import SystemPackage
import Testing

/// Our client against docker-registry, and skopeo against our registry.
struct PeerTests {
    private func roundTrip(_ port: Int, _ credentials: RegistryCredentials?, in folder: URL) async throws {
        let store = try ImageStore(root: FilePath(folder.path + "/here"))
        let other = try ImageStore(root: FilePath(folder.path + "/there"))
        let name = try repository("shop/app")
        let image = try await store.makeImage(1)
        let first = try await client(port, credentials).push(image, from: store, to: name, tag: tag("v1"))
        #expect(first.blobsUploaded == 4 && first.bytesUploaded > 3_000_000)
        let again = try await client(port, credentials).push(image, from: store, to: name, tag: tag("v1"))
        #expect(again.wasUpToDate && again.blobsUploaded == 0)
        let mounted = try await client(port, credentials).push(
            image, from: store, to: repository("shop/copy"), tag: tag("v1"), mountFrom: name)
        #expect(mounted.blobsAlreadyThere == 4)
        #expect(try await client(port, credentials).resolve(repository: name, tag: tag("v1"))?.digest == image)
        #expect(try await client(port, credentials).resolve(repository: name, tag: tag("none")) == nil)
        let pulled = try await client(port, credentials).pull(name, .tag(tag("v1")), into: other, as: repository("copy"))
        #expect(pulled == image)
        #expect(try await other.isWhole(image))
        #expect(try await other.resolve(tag("v1"), in: repository("copy")) == image)
    }

    @Test func anonymously() async throws {
        try await withFolder { folder in
            try await withDockerRegistry { try await roundTrip($0, nil, in: folder) }
        }
    }

    @Test func withPassword() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("htpasswd").path
            try await run("htpasswd", ["-Bbc", "-C", "4", file, "tester", "s3cret"], package: "apache2-utils")
            try await withDockerRegistry(auth: "auth: {htpasswd: {realm: tests, path: \(file)}}") { port in
                try await roundTrip(port, .basic(user: "tester", password: "s3cret"), in: folder)
                for wrong in [nil, RegistryCredentials.basic(user: "tester", password: "guess")] {
                    let error = await #expect(throws: RegistryError.self) {
                        try await client(port, wrong).resolve(repository: repository("shop/app"), tag: tag("v1"))
                    }
                    #expect(error?.code == .unauthorized && error?.message.contains("127.0.0.1:\(port)/shop/app:v1") == true)
                    #expect(error?.description.contains("guess") == false)
                }
            }
        }
    }

    @Test func withTokenService() async throws {
        try await withFolder { folder in
            let basic = "Basic " + Data("tester:s3cret".utf8).base64EncodedString()
            let service = try await TokenService.make(in: folder, allowed: basic)
            try await serve(service.router) { port in
                let auth = service.auth(realm: "http://127.0.0.1:\(port)/token")
                try await withDockerRegistry(auth: auth) { port in
                    try await roundTrip(port, .basic(user: "tester", password: "s3cret"), in: folder)
                    let error = await #expect(throws: RegistryError.self) {
                        try await client(port, .basic(user: "tester", password: "guess"))
                            .resolve(repository: repository("shop/app"), tag: tag("v1"))
                    }
                    #expect(error?.code == .unauthorized)
                }
            }
            let scopes = service.asked.with { $0 }
            #expect(scopes.contains("repository:shop/app:pull,push") && scopes.contains("repository:shop/app:pull"))
            // One token per client and scope, not one per request.
            #expect(scopes.count <= 8)
        }
    }

    @Test func skopeoBothWays() async throws {
        try await withFolder { folder in
            let store = try ImageStore(root: FilePath(folder.path + "/store"))
            let header = "Basic " + Data("ci:pw".utf8).base64EncodedString()
            let name = try repository("shop/app")
            let image = try await store.makeImage(2)
            try await withOurRegistry(store, authorize: { request, _, _ in request.headers[.authorization] == header }) { port in
                _ = try await client(port, .basic(user: "ci", password: "pw")).push(image, from: store, to: name, tag: tag("v1"))
                let ours = "docker://127.0.0.1:\(port)/shop"
                try await run(
                    "skopeo",
                    ["copy", "--src-tls-verify=false", "--src-creds=ci:pw", "--preserve-digests", "\(ours)/app:v1", "oci:\(folder.path)/layout:v1"],
                    package: "skopeo")
                try await run(
                    "skopeo",
                    [
                        "copy", "--dest-tls-verify=false", "--dest-creds=ci:pw", "--preserve-digests", "oci:\(folder.path)/layout:v1",
                        "\(ours)/deep/er/back:v2",
                    ],
                    package: "skopeo")
                let listed = try await run(
                    "skopeo", ["list-tags", "--tls-verify=false", "--creds=ci:pw", "\(ours)/deep/er/back"], package: "skopeo")
                #expect(listed.contains("\"v2\""))
                await #expect(throws: MissingPart.self) {
                    try await run("skopeo", ["inspect", "--tls-verify=false", "--no-creds", "\(ours)/app:v1"], package: "skopeo")
                }
            }
            #expect(try await store.resolve(tag("v2"), in: repository("shop/deep/er/back")) == image)
        }
    }
}
