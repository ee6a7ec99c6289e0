import NIOHTTP1
import OCIModel
import RegistryServer
import Testing

struct LimitTests {
    @Test func largeBlobsAreRefusedWithAndWithoutALength() async throws {
        try await Fixture.run(limits: RegistryLimits(blobBytes: 1000)) { fixture in
            let bytes = [UInt8](repeating: 1, count: 1001)
            let announced = try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/?digest=\(Digest.sha256(bytes))", body: bytes)
            #expect(announced.status == 413 && code(announced) == "SIZE_INVALID" && announced.body.contains("1000"))
            let begun = try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/")
            let location = try #require(begun.headers.first(name: "Location"))
            #expect(try await fixture.send(.PATCH, location, body: Array(bytes[..<600])).status == 202)
            #expect(try await fixture.send(.PATCH, location, body: Array(bytes[..<600])).status == 413)
            let allowed = Array(bytes[..<1000])
            #expect(
                try await fixture.send(.PUT, "\(location)?digest=\(Digest.sha256(allowed))", body: Array(bytes[..<400])).status == 201)
        }
    }

    @Test func quotasCountEachBlobOnce() async throws {
        try await Fixture.run(limits: RegistryLimits(repositoryBytes: 2500)) { fixture in
            func push(_ seed: UInt8, to name: String) async throws -> Fixture.Answer {
                let bytes = [UInt8](repeating: seed, count: 1000)
                return try await fixture.send(.POST, "/v2/\(name)/blobs/uploads/?digest=\(Digest.sha256(bytes))", body: bytes)
            }
            #expect(try await push(1, to: "shop/app").status == 201)
            #expect(try await push(2, to: "shop/app").status == 201)
            let full = try await push(3, to: "shop/app")
            #expect(full.status == 403 && code(full) == "DENIED" && full.body.contains("quota"))
            #expect(try await push(3, to: "shop/two").status == 201)
            let mount = "/v2/shop/app/blobs/uploads/?from=shop/two&mount=\(Digest.sha256([UInt8](repeating: 3, count: 1000)))"
            #expect(try await fixture.send(.POST, mount).status == 403)
        }
        try await Fixture.run(limits: RegistryLimits(totalBytes: 1500)) { fixture in
            for (name, status) in [("a", 201), ("b", 403)] {
                let bytes = [UInt8](repeating: name == "a" ? 1 : 2, count: 1000)
                let answer = try await fixture.send(.POST, "/v2/\(name)/blobs/uploads/?digest=\(Digest.sha256(bytes))", body: bytes)
                #expect(answer.status == status)
            }
        }
    }

    @Test func tooManyUploadsAtOnceAreToldToWait() async throws {
        try await Fixture.run(limits: RegistryLimits(concurrentUploads: 0)) { fixture in
            let answer = try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/?digest=\(Digest.sha256([1]))", body: [1])
            #expect(answer.status == 429 && code(answer) == "TOOMANYREQUESTS" && answer.headers.first(name: "Retry-After") == "1")
        }
    }

    @Test func sparseManifestsAreTakenWhereAllowed() async throws {
        let absent = Descriptor(mediaType: MediaType.ociManifest, digest: .sha256([9]), size: 1)
        let index = try OCIJSON.encode(Index(manifests: [absent]))
        for allowed in [false, true] {
            try await Fixture.run(limits: RegistryLimits(allowsSparse: allowed)) { fixture in
                let answer = try await fixture.send(
                    .PUT, "/v2/shop/app/manifests/v1", ["Content-Type": MediaType.ociIndex], body: index)
                #expect(answer.status == (allowed ? 201 : 404))
            }
        }
    }

    @Test func requestsAreCounted() async throws {
        let metrics = RegistryMetrics()
        try await Fixture.run(metrics: metrics) { fixture in
            let blob = try await fixture.pushBlob([1, 2, 3])
            _ = try await fixture.send(.GET, "/v2/shop/app/blobs/\(blob.digest)")
            _ = try await fixture.send(.GET, "/v2/shop/app/manifests/none")
            let text = metrics.text
            #expect(text.contains("slipway_registry_requests_total{operation=\"blob_get\",status=\"200\"} 1\n"))
            #expect(text.contains("slipway_registry_requests_total{operation=\"manifest_get\",status=\"404\"} 1\n"))
            #expect(text.contains("slipway_registry_request_seconds_bucket{operation=\"blob_get\",le=\"+Inf\"} 1\n"))
            #expect(text.contains("slipway_registry_received_bytes_total 3\n"))
        }
    }
}
