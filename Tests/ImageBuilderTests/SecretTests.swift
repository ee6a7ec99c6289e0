import Foundation
import ImageStore
import OCIModel
import SystemPackage
import TarArchive
import Testing

@testable import ImageBuilder

private let secret = "pa55/w0rd+\"with\" ünusual=chars"

@Suite struct SecretTests {
    private func forms() throws -> [(String, [UInt8])] {
        let bytes = Array(secret.utf8)
        return [
            ("raw", bytes),
            ("base64", Array(Data(bytes).base64EncodedString().utf8)),
            ("base64 behind a name", Array(Data(Array("u:".utf8) + bytes).base64EncodedString().utf8)),
            ("base64 in the middle", Array(Data(Array("user".utf8) + bytes + Array("!".utf8)).base64EncodedString().utf8)),
            ("URL", Array(try #require(secret.addingPercentEncoding(withAllowedCharacters: .alphanumerics)).utf8)),
            ("query", Array(try #require(secret.addingPercentEncoding(withAllowedCharacters: .urlQueryAllowed)).utf8)),
            ("JSON", Array(try JSONEncoder().encode([secret]))),
        ]
    }

    @Test func everyFormIsFoundWhereverItLies() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let builder = ImageBuilder(store: shop.store)
        // Files are read in pieces of 256 KiB: before, across and behind a border.
        for (name, form) in try forms() {
            for offset in [0, (1 << 18) - form.count / 2, (1 << 18) - 1, 700_001] {
                var content = [UInt8](repeating: 0x20, count: offset) + form
                content += [UInt8](repeating: 0x41, count: 1_000)
                let file = try shop.write("conf/settings", "")
                try Data(content).write(to: URL(fileURLWithPath: file.string))
                let request = shop.request([.init(source: shop.context.appending("conf"), destination: "/etc")]) {
                    $0.secrets = [secret, "other secret"]
                }
                do {
                    _ = try await builder.build(request)
                    Issue.record("\(name) at \(offset) got into an image")
                } catch let error as ImageBuilderError {
                    #expect(error.code == .secretFound)
                    #expect("\(error)".contains("/etc/settings") && !"\(error)".contains(secret))
                }
            }
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: shop.store.root.appending("uploads").string)
        #expect(left.isEmpty)
        #expect(try await shop.store.blobDigests().isEmpty)
    }

    @Test func namesAndLinksCountToo() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let builder = ImageBuilder(store: shop.store)
        _ = try shop.write("a/token-12345678/x", "1")
        let request = shop.request([.init(source: shop.context.appending("a"), destination: "/a")]) { $0.secrets = ["token-12345678"] }
        do {
            _ = try await builder.build(request)
            Issue.record("the name got into an image")
        } catch let error as ImageBuilderError {
            #expect(error.code == .secretFound && !"\(error)".contains("12345678") && "\(error)".contains("/a/***"))
        }
        try FileManager.default.removeItem(atPath: shop.context.appending("a").string)
        _ = try shop.write("a/x", "1")
        try FileManager.default.createSymbolicLink(
            atPath: shop.context.appending("a").appending("l").string, withDestinationPath: "/run/token-12345678")
        await #expect(throws: ImageBuilderError.self) { try await builder.build(request) }
    }

    /// A layer built when nobody knew of the secret is not taken from the cache.
    @Test func theCacheHidesNothing() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let file = try shop.write("x", "the token is token-12345678.")
        let builder = ImageBuilder(store: shop.store)
        let copies = [BuildRequest.Copy(source: file, destination: "/x", identity: "git blob 1")]
        let plain = try await builder.build(shop.request(copies))
        await #expect(throws: ImageBuilderError.self) { try await builder.build(shop.request(copies) { $0.secrets = ["token-12345678"] }) }
        // Another secret, the same image; and what is too short to be told from chance is not looked for.
        let other = try await builder.build(shop.request(copies) { $0.secrets = ["another-one-1", "token"] })
        #expect(other.manifest == plain.manifest)
        // The cache tells nobody what the secrets are.
        try run("sh", "-c", "! grep -r another-one-1 '\(shop.store.root)'")
    }

    /// The search against the plainest there is.
    @Test func searchFindsWhatANaiveSearchFinds() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let patterns = (0..<4).map { _ in
                String(decoding: (0..<Int.random(in: 8...12)).map { _ in UInt8.random(in: 97...98, using: &random) }, as: UTF8.self)
            }
            let text = (0..<200).map { _ in UInt8.random(in: 97...98, using: &random) }
            let search = try #require(SecretSearch(forms: patterns))
            var found = false
            try search.begin(TarEntry(path: "f", content: .bytes([]), mode: 0o644), index: 0)
            do {
                var rest = text[...]
                while !rest.isEmpty {
                    let piece = Array(rest.prefix(Int.random(in: 1...30, using: &random)))
                    rest = rest.dropFirst(piece.count)
                    try piece.withUnsafeBytes { try search.content($0) }
                }
            } catch { found = true }
            let expected = patterns.contains { String(decoding: text, as: UTF8.self).contains($0) }
            #expect(found == expected, "\(patterns) in \(String(decoding: text, as: UTF8.self))")
        }
    }
}
