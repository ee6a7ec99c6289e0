import ImageStore
import OCIModel
import Testing

@Suite struct DigestTests {
    /// FIPS 180-4's examples for "abc".
    static let short = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    static let long =
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

    @Test func bothAlgorithmsAreSpoken() throws {
        let bytes = Array("abc".utf8)
        #expect(Digest.sha256(bytes).description == "sha256:\(Self.short)")
        let digest = Digest.of(bytes, by: .sha512)
        #expect(digest.description == "sha512:\(Self.long)")
        #expect(try Digest(parsing: "sha512:\(Self.long)") == digest)
        #expect(Digest(hex: Self.long) == digest && digest.short == "ddaf35a19361")
        #expect(Digest.sha256(bytes) < digest)
        let coded = try OCIJSON.decode([Digest].self, from: try OCIJSON.encode([digest, .sha256(bytes)]))
        #expect(coded == [digest, .sha256(bytes)])
        var hasher = Digest.Hasher(.sha512)
        hasher.update(Array("a".utf8))
        let early = hasher.finalize()
        hasher.update(Array("bc".utf8))
        #expect(hasher.finalize() == digest && early != digest)
    }

    @Test(arguments: [
        "", "sha256", "sha256:", "sha512:\(short)", "sha256:\(long)", "sha384:\(short)", "SHA256:\(short)",
        "sha256:\(short.uppercased())", "sha256:\(short)0", "sha512:\(long) ", "sha256:baddigeststring",
    ])
    func othersAreRefused(_ text: String) { #expect(throws: OCIError.self) { try Digest(parsing: text) } }

    @Test func theStoreKeepsBothApart() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        let bytes = Array("abc".utf8)
        let long = Digest.of(bytes, by: .sha512)
        let short = try await store.write(bytes)
        #expect(try await store.write(bytes, expecting: long) == long)
        #expect(scratch.names("blobs/sha256") == [Self.short] && scratch.names("blobs/sha512") == [Self.long])
        #expect(try await store.read(long) == bytes)
        #expect(try await store.blobDigests() == [short, long])
        #expect(await code { try await store.write([9], expecting: long) } == .digestMismatch)
        // Announced at the beginning, or only at the end.
        for algorithm in DigestAlgorithm.allCases {
            let id = try await store.beginUpload(algorithm: algorithm)
            let content = Array("\(algorithm)".utf8)
            _ = try await store.append(content, to: id, at: 0)
            #expect(try await store.finishUpload(id, expecting: .of(content, by: .sha512)) == 6)
        }
        let wrong = try await store.beginUpload(algorithm: .sha512)
        _ = try await store.append([1], to: wrong, at: 0)
        #expect(await code { _ = try await store.finishUpload(wrong, expecting: long) } == .digestMismatch)
    }
}
