import Foundation
import ImageStore
import NIOHTTP1
import OCIModel
import RegistryServer
import SystemPackage
import Testing

/// What distribution-spec 1.1 and its conformance program ask for beyond plain pushes and pulls, for both algorithms.
struct ConformanceTests {
    private func begin(_ fixture: Fixture, _ query: String = "", in name: String = "shop/app") async throws -> String {
        let answer = try await fixture.send(.POST, "/v2/\(name)/blobs/uploads/\(query)")
        #expect(answer.status == 202, "\(answer.body)")
        return try #require(answer.headers.first(name: "Location"))
    }

    private func content(_ count: Int, _ seed: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) } }

    private func image(
        _ fixture: Fixture, by algorithm: DigestAlgorithm, _ name: String = "shop/app", note: String = "", subject: Descriptor? = nil,
        artifactType: String? = nil
    ) async throws -> (bytes: [UInt8], descriptor: Descriptor) {
        let config = Array("{}".utf8)
        let digest = Digest.of(config, by: algorithm)
        _ = try await fixture.send(.POST, "/v2/\(name)/blobs/uploads/?digest=\(digest)", body: config)
        let bytes = try OCIJSON.encode(
            Manifest(
                artifactType: artifactType, config: Descriptor(mediaType: MediaType.emptyJSON, digest: digest, size: 2), layers: [],
                subject: subject, annotations: note.isEmpty ? nil : ["note": note]))
        let own = Digest.of(bytes, by: algorithm)
        return (bytes, Descriptor(mediaType: MediaType.ociManifest, digest: own, size: Int64(bytes.count)))
    }

    @Test(arguments: DigestAlgorithm.allCases)
    func everyWayToPushABlob(_ algorithm: DigestAlgorithm) async throws {
        try await Fixture.run { fixture in
            for (seed, way) in ["post", "post+put", "announced", "stream", "chunks", "last chunk with put"].enumerated() {
                let bytes = content(3000, seed)
                let digest = Digest.of(bytes, by: algorithm)
                let path = "/v2/shop/app/blobs/\(digest)"
                #expect(try await fixture.send(.GET, path).status == 404)
                let done: Fixture.Answer
                switch way {
                case "post": done = try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/?digest=\(digest)", body: bytes)
                case "post+put": done = try await fixture.send(.PUT, "\(begin(fixture))?digest=\(digest)", body: bytes)
                case "announced":
                    let location = try await begin(fixture, "?digest-algorithm=\(algorithm.rawValue)")
                    done = try await fixture.send(.PUT, "\(location)?digest=\(digest)", body: bytes)
                case "stream":
                    let location = try await begin(fixture)
                    #expect(try await fixture.send(.PATCH, location, body: bytes).status == 202)
                    done = try await fixture.send(.PUT, "\(location)?digest=\(digest)")
                default:
                    var location = try await begin(fixture)
                    for (from, to) in [(0, 999), (1000, 1999)] {
                        let skipped = try await fixture.send(
                            .PATCH, location, ["Content-Range": "\(from + 1000)-\(to + 1000)"],
                            body: Array(bytes[(from + 1000)...(to + 1000)]))
                        #expect(skipped.status == 416)
                        let chunk = try await fixture.send(
                            .PATCH, location, ["Content-Range": "\(from)-\(to)"], body: Array(bytes[from...to]))
                        #expect(chunk.status == 202 && chunk.headers.first(name: "Range") == "0-\(to)")
                        location = try #require(chunk.headers.first(name: "Location"))
                    }
                    let early = try await fixture.send(
                        .PUT, "\(location)?digest=\(digest)", ["Content-Range": "0-999"], body: Array(bytes[..<1000]))
                    #expect(early.status == 416)
                    let last = Array(bytes[2000...])
                    if way == "chunks" {
                        #expect(try await fixture.send(.PATCH, location, ["Content-Range": "2000-2999"], body: last).status == 202)
                        done = try await fixture.send(.PUT, "\(location)?digest=\(digest)")
                    } else {
                        done = try await fixture.send(
                            .PUT, "\(location)?digest=\(digest)", ["Content-Range": "2000-2999"], body: last)
                    }
                }
                #expect(done.status == 201 && done.headers.first(name: "Location") == path, "\(way)")
                let head = try await fixture.send(.HEAD, path)
                let get = try await fixture.send(.GET, path)
                for answer in [head, get] {
                    #expect(answer.status == 200 && answer.headers.first(name: "Content-Length") == "3000")
                    #expect(answer.headers.first(name: "Docker-Content-Digest") == "\(digest)")
                }
                #expect(try await fixture.send(.DELETE, path).status == 202)
                #expect(try await fixture.send(.HEAD, path).status == 404)
                #expect(try await fixture.send(.DELETE, path).status == 404)
            }
        }
    }

    @Test(arguments: DigestAlgorithm.allCases)
    func wrongDigestsAreRefusedHoweverTheyCome(_ algorithm: DigestAlgorithm) async throws {
        try await Fixture.run { fixture in
            let digest = Digest.of([1, 2, 3], by: algorithm)
            let post = try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/?digest=\(digest)", body: [9])
            let put = try await fixture.send(.PUT, "\(begin(fixture))?digest=\(digest)", body: [9])
            let location = try await begin(fixture)
            _ = try await fixture.send(.PATCH, location, body: [9])
            let stream = try await fixture.send(.PUT, "\(location)?digest=\(digest)")
            for answer in [post, put, stream] { #expect(answer.status == 400 && code(answer) == "DIGEST_INVALID") }
            for text in ["sha256:baddigeststring", "md5:\(Digest.sha256([1]).hex)", "sha512:\(Digest.sha256([1]).hex)"] {
                #expect(try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/?digest=\(text)", body: [1]).status == 400)
                #expect(try await fixture.send(.GET, "/v2/shop/app/manifests/\(text)").status == 400)
                #expect(try await fixture.send(.GET, "/v2/shop/app/referrers/\(text)").status == 400)
            }
            #expect(try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/?digest-algorithm=md5").status == 400)
        }
    }

    @Test func blobsBelongToRepositories() async throws {
        try await Fixture.run { fixture in
            let blob = try await fixture.pushBlob(Array("one".utf8))
            let (here, there) = ("/v2/shop/app/blobs/\(blob.digest)", "/v2/shop/two/blobs/\(blob.digest)")
            #expect(try await fixture.send(.GET, there).status == 404)
            let uploads = "/v2/shop/two/blobs/uploads/"
            // Anonymous, from where it is, from where it is not.
            #expect(try await fixture.send(.POST, "\(uploads)?mount=\(blob.digest)").status == 201)
            #expect(try await fixture.send(.GET, there).body == "one")
            #expect(try await fixture.send(.DELETE, there).status == 202)
            #expect(try await fixture.send(.GET, there).status == 404)
            #expect(try await fixture.send(.GET, here).body == "one")
            #expect(try await fixture.send(.POST, "\(uploads)?mount=\(blob.digest)&from=shop/none").status == 202)
            #expect(try await fixture.send(.POST, "\(uploads)?mount=\(blob.digest)&from=shop/app").status == 201)
            #expect(try await fixture.send(.DELETE, here).status == 202)
            #expect(try await fixture.send(.GET, there).body == "one")
            // A manifest may not take what its repository does not hold.
            let manifest = try OCIJSON.encode(Manifest(config: blob, layers: []))
            let taken = try await fixture.send(
                .PUT, "/v2/shop/app/manifests/v1", ["Content-Type": MediaType.ociManifest], body: manifest)
            #expect(taken.status == 404 && code(taken) == "MANIFEST_BLOB_UNKNOWN")
        }
    }

    /// The second writer of the same bytes costs no second copy, whether it comes later or at the same time.
    @Test func equalBlobsAreStoredOnce() async throws {
        try await Fixture.run { fixture in
            let bytes = content(300_000, 5)
            let digest = Digest.sha256(bytes)
            func file() throws -> Int? {
                let attributes = try FileManager.default.attributesOfItem(atPath: fixture.store.path(of: digest).string)
                return attributes[.systemFileNumber] as? Int
            }
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let location = try await self.begin(fixture, in: "shop/\(number)")
                        _ = try await fixture.send(.PATCH, location, body: bytes)
                        return try await fixture.send(.PUT, "\(location)?digest=\(digest)").status
                    }
                }
                for try await status in group { #expect(status == 201) }
            }
            let first = try file()
            let again = try await fixture.send(.POST, "/v2/shop/late/blobs/uploads/?digest=\(digest)", body: bytes)
            let put = try await fixture.send(.PUT, "\(begin(fixture))?digest=\(digest)", body: bytes)
            #expect(again.status == 201 && put.status == 201)
            // As long, but something else: whoever only knows the digest gets nothing.
            let forged = try await fixture.send(
                .POST, "/v2/shop/thief/blobs/uploads/?digest=\(digest)", body: content(300_000, 6))
            #expect(forged.status == 400 && code(forged) == "DIGEST_INVALID")
            #expect(try await fixture.send(.HEAD, "/v2/shop/thief/blobs/\(digest)").status == 404)
            #expect(try file() == first)
            #expect(try await fixture.store.blobDigests() == [digest])
            let left = try FileManager.default.contentsOfDirectory(atPath: fixture.store.root.appending("uploads").string)
            #expect(left.isEmpty)
        }
    }

    @Test func blobsOfManifestsCannotBeDeleted() async throws {
        try await Fixture.run { fixture in
            let digest = try await fixture.pushImage("v1")
            let manifest = try OCIJSON.decode(
                Manifest.self, from: Array(try await fixture.send(.GET, "/v2/shop/app/manifests/v1").body.utf8))
            let path = "/v2/shop/app/blobs/\(manifest.config.digest)"
            let refused = try await fixture.send(.DELETE, path)
            #expect(refused.status == 405 && code(refused) == "UNSUPPORTED" && refused.body.contains("\(digest)"))
            #expect(try await fixture.send(.DELETE, "/v2/shop/app/manifests/\(digest)").status == 202)
            #expect(try await fixture.send(.DELETE, path).status == 202)
        }
    }

    @Test func emptyBlobsAndRanges() async throws {
        try await Fixture.run { fixture in
            let empty = try await fixture.pushBlob([])
            let head = try await fixture.send(.HEAD, "/v2/shop/app/blobs/\(empty.digest)")
            #expect(head.status == 200 && head.headers.first(name: "Content-Length") == "0")
            #expect(try await fixture.send(.GET, "/v2/shop/app/blobs/\(empty.digest)").body.isEmpty)
            let blob = try await fixture.pushBlob(content(2048, 1))
            for (range, expected) in [
                ("500-1499", "bytes 500-1499/2048"), ("2000-5000", "bytes 2000-2047/2048"), ("-500", "bytes 1548-2047/2048"),
            ] {
                let part = try await fixture.send(.GET, "/v2/shop/app/blobs/\(blob.digest)", ["Range": "bytes=\(range)"])
                #expect(part.status == 206 && part.headers.first(name: "Content-Range") == expected)
            }
            for range in ["500-0", "5000-10000"] {
                #expect(try await fixture.send(.GET, "/v2/shop/app/blobs/\(blob.digest)", ["Range": "bytes=\(range)"]).status == 416)
            }
        }
    }

    @Test func tagParametersNameAManifestPushedByDigest() async throws {
        try await Fixture.run { fixture in
            for algorithm in DigestAlgorithm.allCases {
                let (bytes, image) = try await image(fixture, by: algorithm)
                let tags = (0..<12).map { "\(algorithm.rawValue)-\($0)" }
                let query = tags.map { "tag=\($0)" }.joined(separator: "&")
                let answer = try await fixture.send(
                    .PUT, "/v2/shop/app/manifests/\(image.digest)?\(query)", ["Content-Type": image.mediaType], body: bytes)
                #expect(answer.status == 201 && answer.headers[canonicalForm: "OCI-Tag"].map { String($0) } == tags)
                for tag in tags {
                    let head = try await fixture.send(.HEAD, "/v2/shop/app/manifests/\(tag)")
                    #expect(head.headers.first(name: "Docker-Content-Digest") == "\(image.digest)")
                }
                let bad = try await fixture.send(
                    .PUT, "/v2/shop/app/manifests/\(image.digest)?tag=.bad", ["Content-Type": image.mediaType], body: bytes)
                #expect(bad.status == 400)
                let same = try await fixture.send(.GET, "/v2/shop/app/manifests/\(tags[0])", ["If-None-Match": "\"\(image.digest)\""])
                #expect(same.status == 304 && same.body.isEmpty)
            }
        }
    }

    @Test func referrersOfBothKindsAreFoundAndFiltered() async throws {
        try await Fixture.run { fixture in
            let missing = Descriptor(mediaType: MediaType.ociManifest, digest: .sha256([9]), size: 1)
            let none = try await fixture.send(.GET, "/v2/shop/none/referrers/\(missing.digest)")
            #expect(none.status == 200 && none.body.contains(#""manifests":[]"#))
            let (bytes, evidence) = try await image(fixture, by: .sha256, note: "sbom", subject: missing, artifactType: "application/x.sbom")
            let pushed = try await fixture.send(
                .PUT, "/v2/shop/app/manifests/\(evidence.digest)", ["Content-Type": evidence.mediaType], body: bytes)
            #expect(pushed.status == 201 && pushed.headers.first(name: "OCI-Subject") == "\(missing.digest)")
            let list = try OCIJSON.encode(Index(manifests: [evidence], subject: missing, annotations: ["kind": "list"]))
            let listDigest = Digest.sha256(list)
            let second = try await fixture.send(
                .PUT, "/v2/shop/app/manifests/\(listDigest)", ["Content-Type": MediaType.ociIndex], body: list)
            #expect(second.headers.first(name: "OCI-Subject") == "\(missing.digest)")
            let all = try await fixture.send(.GET, "/v2/shop/app/referrers/\(missing.digest)")
            let found = try OCIJSON.decode(Index.self, from: Array(all.body.utf8)).manifests
            #expect(Set(found.map(\.digest)) == [evidence.digest, listDigest] && all.headers.first(name: "OCI-Filters-Applied") == nil)
            #expect(found.first { $0.digest == evidence.digest }?.artifactType == "application/x.sbom")
            #expect(found.first { $0.digest == evidence.digest }?.annotations == ["note": "sbom"])
            #expect(found.first { $0.digest == listDigest }?.artifactType == nil)
            #expect(try await fixture.send(.DELETE, "/v2/shop/app/manifests/\(listDigest)").status == 202)
            let rest = try await fixture.send(.GET, "/v2/shop/app/referrers/\(missing.digest)?artifactType=application/x.sbom")
            #expect(try OCIJSON.decode(Index.self, from: Array(rest.body.utf8)).manifests.map(\.digest) == [evidence.digest])
        }
    }

    @Test func manyReferrersComeInPages() async throws {
        try await Fixture.run { fixture in
            let subject = Descriptor(mediaType: MediaType.ociManifest, digest: .sha256([9]), size: 1)
            var pushed: Set<Digest> = []
            for number in 0..<6 {
                let note = "\(number)" + String(repeating: "x", count: 1 << 20)
                let (bytes, evidence) = try await image(fixture, by: .sha256, note: note, subject: subject)
                _ = try await fixture.send(
                    .PUT, "/v2/shop/app/manifests/\(evidence.digest)", ["Content-Type": evidence.mediaType], body: bytes)
                pushed.insert(evidence.digest)
            }
            var next: String? = "/v2/shop/app/referrers/\(subject.digest)"
            var (seen, pages): (Set<Digest>, Int) = ([], 0)
            while let path = next, pages < 10 {
                let page = try await fixture.send(.GET, path)
                seen.formUnion(try OCIJSON.decode(Index.self, from: Array(page.body.utf8)).manifests.map(\.digest))
                next = page.headers.first(name: "Link").map { String($0.drop { $0 != "<" }.dropFirst().prefix { $0 != ">" }) }
                pages += 1
            }
            #expect(seen == pushed && pages == 2)
        }
    }

    @Test func dataFieldsForeignLayersAndUnknownFieldsAreKeptAsTheyAre() async throws {
        try await Fixture.run { fixture in
            let config = try await fixture.pushBlob(Array("{}".utf8))
            let foreign = Digest.sha256([8])
            let text = """
                {"schemaVersion":2,"mediaType":"\(MediaType.dockerManifest)","unknown":{"a":[1]},
                 "config":{"mediaType":"\(MediaType.dockerConfig)","digest":"\(config.digest)","size":2,"data":"e30="},
                 "layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"\(foreign)",
                 "size":5,"urls":["https://store.example.com/1"]}]}
                """
            let pushed = try await fixture.send(
                .PUT, "/v2/shop/app/manifests/v1", ["Content-Type": "\(MediaType.dockerManifest); charset=utf-8"], body: Array(text.utf8))
            #expect(pushed.status == 201, "\(pushed.body)")
            let pulled = try await fixture.send(.GET, "/v2/shop/app/manifests/v1")
            #expect(pulled.body == text && pulled.headers.first(name: "Content-Type") == MediaType.dockerManifest)
        }
    }
}
