import Foundation
import ImageStore
import NIOHTTP1
import OCIModel
import Synchronization
import SystemPackage
import Testing

@testable import RegistryClient

/// What is remembered of uploads for the process that comes after us.
struct JournalTests {
    private final class Clock: Sendable {
        private let value = Mutex(Int64(Date().timeIntervalSince1970))
        var now: Int64 { value.withLock { $0 } }
        func advance(_ seconds: Int64) { value.withLock { $0 += seconds } }
    }

    private func session(_ offset: Int64) throws -> UploadSession {
        let client = try client(1)
        return UploadSession(
            client: client, repository: try repository("shop/app"), scope: .push("shop/app"), task: "pushing",
            location: "http://127.0.0.1:1/v2/shop/app/blobs/uploads/x?_state=secret", offset: offset, minimumChunk: 7)
    }

    @Test func notesAreFoundAgainByTheNextProcessOnly() async throws {
        try await withFolder { folder in
            let clock = Clock()
            let journal = UploadJournal(folder: FilePath(folder.path + "/pushes")) { clock.now }
            let name = try repository("shop/app")
            let digest = Digest.sha256([1])
            do {
                let note = try #require(try await journal.claim("127.0.0.1:1", name, digest))
                #expect(note.record == nil)
                try await note.keep(try session(4096), of: digest)
                // Whoever pushes the same at the same time does without.
                let second = try await UploadJournal(folder: FilePath(folder.path + "/pushes")).claim("127.0.0.1:1", name, digest)
                #expect(second == nil)
                let mode = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/pushes").map {
                    try FileManager.default.attributesOfItem(atPath: folder.path + "/pushes/" + $0)[.posixPermissions] as? Int
                }
                #expect(mode.count == 2 && mode.allSatisfy { $0 == 0o600 })
                withExtendedLifetime(note) {}
            }
            let note = try #require(try await journal.claim("127.0.0.1:1", name, digest))
            #expect(note.record?.offset == 4096 && note.record?.minimumChunk == 7 && note.record?.location.hasSuffix("_state=secret") == true)
            let other = try #require(try await journal.claim("127.0.0.1:2", name, digest))
            #expect(other.record == nil)
            await note.remove()
            await other.remove()
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/pushes").isEmpty)
        }
    }

    @Test func oldAndDamagedNotesAreNoNotes() async throws {
        try await withFolder { folder in
            let clock = Clock()
            let path = folder.path + "/pushes"
            let journal = UploadJournal(folder: FilePath(path)) { clock.now }
            let name = try repository("shop/app")
            let (old, damaged) = (Digest.sha256([1]), Digest.sha256([2]))
            for digest in [old, damaged] {
                let note = try #require(try await journal.claim("127.0.0.1:1", name, digest))
                try await note.keep(try session(1), of: digest)
            }
            let key = Digest.sha256(Array("127.0.0.1:1\nshop/app\n\(damaged)".utf8)).hex
            try "{\"registry\":".write(toFile: "\(path)/\(key).json", atomically: false, encoding: .utf8)
            let read = try await journal.claim("127.0.0.1:1", name, damaged)
            #expect(read != nil && read?.record == nil)
            clock.advance(UploadJournal.lifetime + 600)
            let late = try await journal.claim("127.0.0.1:1", name, old)
            #expect(late != nil && late?.record == nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: path).allSatisfy { $0.hasSuffix(".lock") })
        }
    }

    @Test func rangesOfUploads() {
        func reached(_ text: String) -> Int64? { UploadSession.reached(["Range": text]) }
        #expect(reached("0-1023") == 1024 && reached("bytes=0-9") == 10 && reached("0-0") == 0)
        for text in ["", "5-9", "0-", "0", "0--1", "0-9223372036854775807", "a-b"] { #expect(reached(text) == nil, "\(text)") }
        #expect(UploadSession.reached([:]) == nil)
        #expect(RegistryClient.nextPage(["Link": "</v2/a/referrers/x?n=2>; rel=\"next\""]) == "/v2/a/referrers/x?n=2")
        #expect(RegistryClient.nextPage(["Link": "<x>; rel=\"prev\""]) == nil)
    }
}
