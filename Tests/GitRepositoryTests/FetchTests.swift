import Foundation
import GitRepository
import Synchronization
import SystemPackage
import Testing

@Suite struct FetchTests {
    @Test func makesAMirrorAndReturnsAllReferences() async throws {
        let box = try Sandbox()
        try box.git("branch", "feature/x")
        try box.git("tag", "light")
        try box.git("tag", "-a", "v1", "-m", "release")
        try box.git("update-ref", "refs/pull/7/head", "HEAD")
        let references = try await box.fetch()
        let id = try box.head()
        #expect(references == ["refs/heads/main": id, "refs/heads/feature/x": id, "refs/tags/light": id, "refs/tags/v1": id, "refs/pull/7/head": id])
        #expect(try await box.mirror.defaultBranch() == "main")
        #expect(try await box.mirror.references() == references)
    }

    @Test func transfersOnlyWhatIsNew() async throws {
        let box = try Sandbox(commits: (0..<30).map { "text \($0)" })
        let counts = Mutex<[Int]>([])
        func fetch() async throws {
            _ = try await box.mirror.fetch(from: "file://\(box.source)") { progress in counts.withLock { $0.append(progress.totalObjects) } }
        }
        try await fetch()
        #expect(counts.withLock { $0.max() } == 90)
        counts.withLock { $0 = [] }
        let new = try box.commit(["b.txt": "new"])
        try await fetch()
        #expect(counts.withLock { $0.max() } == 3)
        #expect(try await box.mirror.resolve("main") == new)
    }

    @Test func followsForcePushesAndRemovesDeletedBranches() async throws {
        let box = try Sandbox(commits: ["one", "two"])
        try box.git("branch", "old")
        _ = try await box.fetch()
        let before = try box.head()
        try box.git("reset", "-q", "--hard", "HEAD~1")
        let after = try box.commit(["a.txt": "rewritten"])
        try box.git("branch", "-D", "old")
        let references = try await box.fetch()
        #expect(references == ["refs/heads/main": after])
        #expect(try await box.mirror.commit(before).summary == "change", "a rewritten commit stays readable for what runs from it")
    }

    @Test func replacesABranchByAFolderOfBranches() async throws {
        let box = try Sandbox()
        try box.git("branch", "topic")
        _ = try await box.fetch()
        try box.git("branch", "-D", "topic")
        try box.git("branch", "topic/one")
        #expect(try await box.fetch().keys.sorted() == ["refs/heads/main", "refs/heads/topic/one"])
    }

    @Test func acceptsAnEmptyRepository() async throws {
        let box = try Sandbox(commits: [])
        #expect(try await box.fetch() == [:])
        #expect(try await box.mirror.defaultBranch() == nil)
        let id = try box.commit(["a.txt": "first"])
        #expect(try await box.fetch() == ["refs/heads/main": id])
    }

    @Test func saysWhatIsWrongWithTheSource() async throws {
        let box = try Sandbox()
        let missing = try await box.failure { _ = try await box.mirror.fetch(from: "\(box.root)/nowhere") }
        #expect(missing.code == .notFound && missing.description.contains("nowhere"))
        let plain = box.root.appending("plain")
        try FileManager.default.createDirectory(atPath: plain.string, withIntermediateDirectories: true)
        for url in [plain.string, "file://\(plain)"] {
            let error = try await box.failure { _ = try await box.mirror.fetch(from: url) }
            #expect(error.code == .notARepository && error.description.contains("plain"), "\(error)")
        }
        let error = try await box.failure { _ = try await box.mirror.resolve("main") }
        #expect(error.code == .notFound)
    }

    @Test func refusesAFolderThatHoldsSomethingElse() async throws {
        let box = try Sandbox()
        try FileManager.default.createDirectory(atPath: box.mirror.path.appending("photos").string, withIntermediateDirectories: true)
        let error = try await box.failure { _ = try await box.fetch() }
        #expect(error.code == .notARepository && error.message.contains("photos"))
    }

    @Test func repairsWhatAKilledFetchLeft() async throws {
        let box = try Sandbox()
        let path = box.mirror.path
        try FileManager.default.createDirectory(atPath: path.appending("objects").string, withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: path.appending("HEAD.lock").string))
        _ = try await box.fetch()
        let new = try box.commit(["a.txt": "two"])
        try box.git("branch", "other")
        let leftovers = ["HEAD.lock", "refs/heads/main.lock", "packed-refs.lock", "objects/pack/pack_git2_1a2b3c"].map { path.appending($0).string }
        for file in leftovers { try Data("x".utf8).write(to: URL(fileURLWithPath: file)) }
        #expect(try await box.fetch()["refs/heads/main"] == new)
        #expect(!leftovers.contains { FileManager.default.fileExists(atPath: $0) })
    }

    @Test func serialisesConcurrentFetches() async throws {
        let box = try Sandbox(commits: (0..<20).map { "text \($0)" })
        let id = try box.head()
        try await withThrowingTaskGroup(of: [String: CommitID].self) { group in
            for _ in 0..<8 { group.addTask { try await box.fetch() } }
            for try await references in group { #expect(references == ["refs/heads/main": id]) }
        }
    }

    @Test func aMirrorThatIsSetAsideInTheMiddleIsMadeAgain() async throws {
        let box = try Sandbox()
        let id = try box.head()
        _ = try await box.fetch()
        let aside = try await withThrowingTaskGroup(of: FilePath?.self) { group in
            for number in 0..<12 {
                group.addTask {
                    if number.isMultiple(of: 3) { return try await box.mirror.setAside() }
                    #expect(try await box.mirror.fetch(from: "file://\(box.source)") == ["refs/heads/main": id])
                    return nil
                }
            }
            return try await group.reduce(into: [FilePath]()) { all, one in if let one { all.append(one) } }
        }
        #expect(aside.count == 4)
        for folder in aside { try FileManager.default.removeItem(atPath: folder.string) }
        #expect(try await box.fetch() == ["refs/heads/main": id])
        #expect(try await box.mirror.commit(id).summary == "change")
    }

    @Test(.timeLimit(.minutes(1))) func stopsWhenCancelledAndStaysUsable() async throws {
        let box = try Sandbox(commits: (0..<20).map { "text \($0)" })
        let gate = Gate()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await #expect(throws: CancellationError.self) {
                    _ = try await box.mirror.fetch(from: box.source.string) { _ in
                        gate.begun.store(true, ordering: .releasing)
                        // Runs on the queue's own thread: holds the transfer until the cancellation has arrived.
                        while !gate.cancelled.load(ordering: .acquiring) { usleep(1000) }
                    }
                }
            }
            try await eventually("the fetch has begun") { gate.begun.load(ordering: .acquiring) }
            group.cancelAll()
            gate.cancelled.store(true, ordering: .releasing)
            try await group.waitForAll()
        }
        #expect(try await box.mirror.references() == [:])
        #expect(try await box.fetch().count == 1)
    }

    @Test func waitsForTheLockNoLongerThanItsTask() async throws {
        let box = try Sandbox()
        _ = try await box.fetch()
        let holder = open(box.mirror.path.string, O_RDONLY)
        defer { close(holder) }
        #expect(flock(holder, LOCK_EX) == 0)
        let task = Task { try await box.fetch() }
        #expect(try await box.mirror.resolve("main") == box.head(), "reading needs no lock")
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}

private final class Gate: Sendable {
    let begun = Atomic(false)
    let cancelled = Atomic(false)
}
