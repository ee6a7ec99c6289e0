import Foundation
import ImageStore
import NIOCore
import NIOHTTP1
import NIOPosix
import OCIModel
import Testing

struct UploadTests {
    private func begin(_ fixture: Fixture, _ name: String = "shop/app") async throws -> String {
        let answer = try await fixture.send(.POST, "/v2/\(name)/blobs/uploads/")
        #expect(answer.status == 202)
        return try #require(answer.headers.first(name: "Location"))
    }

    @Test func monolithicUploadAndRangeReads() async throws {
        try await Fixture.run { fixture in
            let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let digest = Digest.sha256(bytes)
            let answer = try await fixture.send(.POST, "/v2/shop/app/blobs/uploads/?digest=\(digest)", body: bytes)
            #expect(answer.status == 201)
            #expect(answer.headers.first(name: "Docker-Content-Digest") == "\(digest)")
            let location = try #require(answer.headers.first(name: "Location"))
            let head = try await fixture.send(.HEAD, location)
            #expect(head.status == 200 && head.headers.first(name: "Content-Length") == "300000")
            let all = try await fixture.send(.GET, location.replacing("sha256:", with: "sha256%3A"))
            #expect(all.status == 200 && all.headers.first(name: "Docker-Distribution-Api-Version") == "registry/2.0")
            for (range, expected, count) in [
                ("bytes=10-19", "bytes 10-19/300000", 10), ("bytes=299990-", "bytes 299990-299999/300000", 10),
                ("bytes=-5", "bytes 299995-299999/300000", 5),
            ] {
                let part = try await fixture.send(.GET, location, ["Range": range])
                #expect(part.status == 206 && part.headers.first(name: "Content-Range") == expected)
                #expect(part.headers.first(name: "Content-Length") == "\(count)")
            }
            let beyond = try await fixture.send(.GET, location, ["Range": "bytes=300000-"])
            #expect(beyond.status == 416 && beyond.headers.first(name: "Content-Range") == "bytes */300000")
            #expect(try await fixture.send(.DELETE, location).status == 202)
            #expect(try await fixture.send(.HEAD, location).status == 404)
        }
    }

    @Test func chunksMustFollowEachOther() async throws {
        try await Fixture.run { fixture in
            let location = try await begin(fixture)
            let first = try await fixture.send(.PATCH, location, ["Content-Range": "0-4"], body: Array("hello".utf8))
            #expect(first.status == 202 && first.headers.first(name: "Range") == "0-4")
            let next = try #require(first.headers.first(name: "Location"))
            for range in ["0-4", "6-10", "5-12"] {
                let wrong = try await fixture.send(.PATCH, next, ["Content-Range": range], body: Array("world".utf8))
                #expect(wrong.status == 416 && wrong.headers.first(name: "Range") == "0-4" && code(wrong) == "BLOB_UPLOAD_INVALID")
            }
            let status = try await fixture.send(.GET, next)
            #expect(status.status == 204 && status.headers.first(name: "Range") == "0-4")
            let digest = Digest.sha256(Array("hello world".utf8))
            let done = try await fixture.send(
                .PUT, "\(next)?digest=\(digest)", ["Content-Range": "5-10"], body: Array(" world".utf8))
            #expect(done.status == 201)
            #expect(try await fixture.send(.GET, "/v2/shop/app/blobs/\(digest)").body == "hello world")
            #expect(try await fixture.send(.GET, next).status == 404)
        }
    }

    @Test func wrongDigestsAndForeignUploadsAreRefused() async throws {
        try await Fixture.run { fixture in
            let location = try await begin(fixture)
            let other = Digest.sha256(Array("other".utf8))
            let elsewhere = location.replacing("/shop/app/", with: "/shop/other/")
            let stolen = try await fixture.send(.PUT, "\(elsewhere)?digest=\(other)", body: Array("other".utf8))
            #expect(stolen.status == 404 && code(stolen) == "BLOB_UPLOAD_UNKNOWN")
            let wrong = try await fixture.send(.PUT, "\(location)?digest=\(other)", body: Array("content".utf8))
            #expect(wrong.status == 400 && code(wrong) == "DIGEST_INVALID")
            #expect(try await fixture.send(.HEAD, "/v2/shop/app/blobs/\(other)").status == 404)
            let again = try await begin(fixture)
            #expect(try await fixture.send(.PUT, again).status == 400)
            #expect(try await fixture.send(.PUT, "\(again)?digest=md5:00").status == 400)
            #expect(try await fixture.send(.DELETE, again).status == 204)
            #expect(try await fixture.send(.DELETE, again).status == 404)
        }
    }

    @Test func mountNeedsTheRightToReadTheSource() async throws {
        try await Fixture.run(authorize: { _, _, name in name?.rawValue != "secret/app" }) { fixture in
            let blob = try await fixture.pushBlob(Array("shared".utf8))
            let path = "/v2/shop/two/blobs/uploads/?mount=\(blob.digest)&from="
            #expect(try await fixture.send(.POST, path + "shop/app").status == 201)
            #expect(try await fixture.send(.POST, path + "secret/app").status == 202)
            let unknown = Digest.sha256([1])
            #expect(
                try await fixture.send(.POST, "/v2/shop/two/blobs/uploads/?mount=\(unknown)&from=shop/app").status == 202)
        }
    }

    @Test func truncatedUploadIsResumed() async throws {
        try await Fixture.run { fixture in
            let location = try await begin(fixture)
            let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
            // A connection that announces everything and dies halfway.
            let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(host: "127.0.0.1", port: fixture.port).get()
            let head = "PATCH \(location) HTTP/1.1\r\nHost: x\r\nContent-Length: \(bytes.count)\r\n\r\n"
            try await channel.writeAndFlush(ByteBuffer(string: head))
            try await channel.writeAndFlush(ByteBuffer(bytes: bytes[..<120_000]))
            try await channel.close()
            let deadline = ContinuousClock.now + .seconds(60)
            var size = 0
            while size < 120_000, ContinuousClock.now < deadline {
                let range = try await fixture.send(.GET, location).headers.first(name: "Range")
                let last = Int(range?.dropFirst(2) ?? "0") ?? 0
                size = last == 0 ? 0 : last + 1
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(size == 120_000)
            let digest = Digest.sha256(bytes)
            let early = try await fixture.send(.HEAD, "/v2/shop/app/blobs/\(digest)")
            #expect(early.status == 404)
            let rest = try await fixture.send(
                .PATCH, location, ["Content-Range": "\(size)-\(bytes.count - 1)"], body: Array(bytes[size...]))
            #expect(rest.status == 202)
            #expect(try await fixture.send(.PUT, "\(location)?digest=\(digest)").status == 201)
            #expect(try fixture.store.size(of: digest) == 200_000)
        }
    }
}
