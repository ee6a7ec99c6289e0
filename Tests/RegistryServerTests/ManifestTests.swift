import Foundation
import Hummingbird
import NIOHTTP1
import OCIModel
import RegistryServer
import Testing

struct ManifestTests {
    private let type: HTTPHeaders = ["Content-Type": MediaType.ociManifest]

    @Test func pushPullListDelete() async throws {
        try await Fixture.run { fixture in
            let digest = try await fixture.pushImage("v1")
            for path in ["v1", "\(digest)"] {
                let answer = try await fixture.send(.GET, "/v2/shop/app/manifests/\(path)")
                #expect(answer.status == 200 && answer.headers.first(name: "Content-Type") == MediaType.ociManifest)
                #expect(answer.headers.first(name: "Docker-Content-Digest") == "\(digest)")
                #expect(Digest.sha256(Array(answer.body.utf8)) == digest)
                let head = try await fixture.send(.HEAD, "/v2/shop/app/manifests/\(path)")
                #expect(head.status == 200 && head.headers.first(name: "Content-Length") == "\(answer.body.utf8.count)")
            }
            #expect(try await fixture.send(.GET, "/v2/other/app/manifests/\(digest)").status == 404)
            #expect(try await fixture.send(.DELETE, "/v2/shop/app/manifests/v1").status == 202)
            #expect(code(try await fixture.send(.GET, "/v2/shop/app/manifests/v1")) == "MANIFEST_UNKNOWN")
            #expect(try await fixture.send(.DELETE, "/v2/shop/app/manifests/\(digest)").status == 202)
            #expect(try await fixture.send(.GET, "/v2/shop/app/manifests/\(digest)").status == 404)
        }
    }

    @Test func refusesWhatIsNotWhole() async throws {
        try await Fixture.run { fixture in
            let blob = try await fixture.pushBlob(Array("{}".utf8))
            let absent = Descriptor(mediaType: MediaType.ociLayer, digest: .sha256([9]), size: 1)
            let missing = try OCIJSON.encode(Manifest(config: blob, layers: [absent]))
            let answer = try await fixture.send(.PUT, "/v2/shop/app/manifests/v1", type, body: missing)
            #expect(answer.status == 404 && code(answer) == "MANIFEST_BLOB_UNKNOWN")
            let index = try OCIJSON.encode(
                Index(manifests: [Descriptor(mediaType: MediaType.ociManifest, digest: .sha256([9]), size: 1)]))
            let orphan = try await fixture.send(
                .PUT, "/v2/shop/app/manifests/v1", ["Content-Type": MediaType.ociIndex], body: index)
            #expect(code(orphan) == "MANIFEST_BLOB_UNKNOWN")

            let good = try OCIJSON.encode(Manifest(config: blob, layers: [blob]))
            let digest = try await fixture.send(.PUT, "/v2/shop/app/manifests/\(Digest.sha256([1]))", type, body: good)
            #expect(digest.status == 400 && code(digest) == "DIGEST_INVALID")
            let contradiction = try await fixture.send(
                .PUT, "/v2/shop/app/manifests/v1", ["Content-Type": MediaType.dockerManifest], body: good)
            #expect(code(contradiction) == "MANIFEST_INVALID")
            for text in ["", "{", "[]", "{}", #"{"schemaVersion":1}"#, #"{"schemaVersion":2}"#] {
                let bad = try await fixture.send(.PUT, "/v2/shop/app/manifests/v1", type, body: Array(text.utf8))
                #expect(bad.status == 400 && code(bad) == "MANIFEST_INVALID", "\(text)")
            }
            let huge = [UInt8](repeating: 0x20, count: (4 << 20) + 1)
            let tooLarge = try await fixture.send(.PUT, "/v2/shop/app/manifests/v1", type, body: huge)
            #expect(tooLarge.status == 413)
            #expect(try await fixture.send(.GET, "/v2/shop/app/manifests/v1").status == 404)
            #expect(try await fixture.send(.GET, "/v2/Shop/app/manifests/v1").status == 400)
            #expect(try await fixture.send(.GET, "/v2/shop/app/nothing/v1").status == 404)
        }
    }

    @Test func listsInPages() async throws {
        try await Fixture.run { fixture in
            for tag in ["a", "b", "c", "d", "e"] { _ = try await fixture.pushImage(tag) }
            _ = try await fixture.pushImage("x", to: "team/nested/app")
            var path: String? = "/v2/shop/app/tags/list?n=2"
            var seen: [String] = []
            while let next = path {
                let answer = try await fixture.send(.GET, next)
                struct Tags: Decodable { let tags: [String] }
                seen += try JSONDecoder().decode(Tags.self, from: Data(answer.body.utf8)).tags
                let link = answer.headers.first(name: "Link")
                path = link.map { String($0.drop { $0 != "<" }.dropFirst().prefix { $0 != ">" }) }
            }
            #expect(seen == ["a", "b", "c", "d", "e"])
            #expect(try await fixture.send(.GET, "/v2/shop/app/tags/list?n=0").body.contains("[]"))
            #expect(try await fixture.send(.GET, "/v2/shop/app/tags/list?n=x").status == 400)
            #expect(code(try await fixture.send(.GET, "/v2/none/tags/list")) == "NAME_UNKNOWN")
            let catalog = try await fixture.send(.GET, "/v2/_catalog")
            #expect(catalog.body == #"{"repositories":["shop/app","team/nested/app"]}"#)
        }
    }

    @Test func referrersFindTheirSubject() async throws {
        try await Fixture.run { fixture in
            let image = try await fixture.pushImage("v1")
            let subject = Descriptor(mediaType: MediaType.ociManifest, digest: image, size: 1)
            let evidence = try await fixture.pushImage("evidence", subject: subject)
            let answer = try await fixture.send(.GET, "/v2/shop/app/referrers/\(image)?artifactType=application/x.test")
            #expect(answer.headers.first(name: "Content-Type") == MediaType.ociIndex)
            #expect(answer.headers.first(name: "OCI-Filters-Applied") == "artifactType")
            let index = try OCIJSON.decode(Index.self, from: Array(answer.body.utf8))
            #expect(index.manifests.map(\.digest) == [evidence])
            let none = try await fixture.send(.GET, "/v2/shop/app/referrers/\(image)?artifactType=other")
            #expect(try OCIJSON.decode(Index.self, from: Array(none.body.utf8)).manifests.isEmpty)
        }
    }

    @Test func refusalsFollowTheSpecification() async throws {
        let readers = "Basic \(Data("reader:secret".utf8).base64EncodedString())"
        try await Fixture.run(authorize: { request, action, name in
            guard request.headers[.authorization] == readers else { return false }
            if action == .push { throw HTTPError(.forbidden) }
            return name?.rawValue != "secret/app"
        }) { fixture in
            let anonymous = try await fixture.send(.GET, "/v2/")
            #expect(anonymous.status == 401 && code(anonymous) == "UNAUTHORIZED")
            #expect(anonymous.headers.first(name: "WWW-Authenticate") == #"Basic realm="slipway""#)
            #expect(anonymous.headers.first(name: "Docker-Distribution-Api-Version") == "registry/2.0")
            let known: HTTPHeaders = ["Authorization": readers]
            #expect(try await fixture.send(.GET, "/v2/", known).status == 200)
            #expect(try await fixture.send(.GET, "/v2", known).status == 200)
            let push = try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/", known)
            #expect(push.status == 403 && code(push) == "DENIED")
            #expect(try await fixture.send(.GET, "/v2/secret/app/tags/list", known).status == 401)
        }
    }
}
