import Foundation
import ImageStore
import OCIModel
import RegistryClient
import SystemPackage
import Testing

/// Uploads of blobs that are being made while they travel.
struct StreamedUploadTests {
    private static func pieces(_ count: Int) -> [[UInt8]] {
        (0..<count).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0 &* 37 &+ 11), count: 1 << 20) }
    }

    private func stream(_ port: Int) async throws {
        let name = try repository("shop/app")
        let pieces = Self.pieces(9)
        let upload = try await client(port).beginUpload(to: name)
        for piece in pieces { try await upload.append(piece) }
        let digest = Digest.sha256(pieces.flatMap(\.self))
        #expect(try await upload.commit(digest, size: 9 << 20))
        await #expect(throws: RegistryError.self) { try await upload.append([1]) }
        #expect(try await client(port).size(of: digest, in: name) == 9 << 20)

        let wrong = try await client(port).beginUpload(to: name)
        try await wrong.append(pieces[0])
        let error = await #expect(throws: RegistryError.self) { try await wrong.commit(digest, size: 1 << 20) }
        #expect(error?.status.map { (400..<500).contains($0) } == true)

        let empty = try await client(port).beginUpload(to: name)
        #expect(try await empty.commit(Digest.sha256([]), size: 0))
        #expect(try await client(port).size(of: Digest.sha256([]), in: name) == 0)

        let given = try await client(port).beginUpload(to: name)
        try await given.append(pieces[1])
        await given.cancel()
        await #expect(throws: RegistryError.self) { try await given.commit(Digest.sha256(pieces[1]), size: 1 << 20) }
        #expect(try await client(port).size(of: Digest.sha256(pieces[1]), in: name) == nil)
    }

    @Test func toOurRegistry() async throws {
        try await withFolder { folder in
            let there = try ImageStore(root: FilePath(folder.path))
            try await withOurRegistry(there) { try await stream($0) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/uploads").isEmpty)
        }
    }

    @Test func toDockersRegistry() async throws {
        try await withDockerRegistry { try await stream($0) }
    }

    @Test func aBrokenConnectionIsMendedFromTheStore() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let name = try repository("shop/app")
            let pieces = Self.pieces(8)
            let digest = try await here.write(pieces.flatMap(\.self))
            try await withOurRegistry(there) { upstream in
                // The POST passes, the PATCH on its connection is cut after some megabytes.
                try await cutting(upstream, after: Locked([3_500_000])) { port in
                    let upload = try await client(port).beginUpload(to: name)
                    for piece in pieces { try await upload.append(piece) }
                    #expect(try await upload.commit(digest, size: 8 << 20) == false)
                    try await upload.mend(from: here)
                }
                try await cutting(upstream, after: Locked([3_500_000])) { port in
                    let upload = try await client(port).beginUpload(to: repository("shop/other"))
                    for piece in pieces { try await upload.append(piece) }
                    #expect(try await upload.commit(digest, size: 8 << 20) == false)
                    #expect(try await client(port).size(of: digest, in: repository("shop/other")) == nil)
                }
            }
            #expect(try there.size(of: digest) == 8 << 20)
            try await there.verify(digest)
        }
    }
}
