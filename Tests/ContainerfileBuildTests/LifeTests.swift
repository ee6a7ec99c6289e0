import ContainerRuntime
import ContainerfileBuild
import Foundation
import Glibc
import SystemPackage
import Testing

@Suite(.serialized) struct LifeTests {
    @Test func cancellationEndsTheCommandAndLeavesNothing() async throws {
        try await Yard.with { yard async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    await #expect(throws: CancellationError.self) {
                        try await yard.build("FROM busybox\nRUN --mount=type=cache,target=/c touch /c/begun; sleep 1000")
                    }
                }
                let deadline = ContinuousClock.now + .seconds(20)
                let mounts = yard.folder.appending("builds/mounts").string
                while ContinuousClock.now < deadline {
                    let names = FileManager.default.enumerator(atPath: mounts)?.compactMap { $0 as? String } ?? []
                    if names.contains(where: { $0.hasSuffix("/begun") }) { break }
                    try await Task.sleep(for: .milliseconds(5))
                }
                group.cancelAll()
                try await group.waitForAll()
            }
            #expect(try await shell("grep -c \"$0\" /proc/self/mounts || true", yard.folder.string) == "0")
        }
    }

    @Test func aCommandMayNotTakeForever() async throws {
        try await Yard.with { yard async throws in
            let error = await #expect(throws: ContainerfileBuildError.self) {
                try await yard.build("FROM busybox\nRUN sleep 1000") { $0.timeout = .milliseconds(300) }
            }
            #expect(error?.code == .timedOut)
            #expect(error?.line == 2)
        }
    }

    /// A build that was killed leaves a lock nobody holds, containers and temporary files.
    @Test func leftoversOfAKilledBuildAreRemoved() async throws {
        try await Yard.with { yard async throws in
            let (id, other) = ("build-killed", "build-alive")
            for name in ["locks", "temporary/\(id)"] {
                try FileManager.default.createDirectory(
                    atPath: yard.folder.appending("builds").pushing(FilePath(name)).string, withIntermediateDirectories: true)
            }
            let lock = yard.folder.appending("builds/locks/\(other)")
            #expect(FileManager.default.createFile(atPath: yard.folder.appending("builds/locks/\(id)").string, contents: nil))
            let held = try FileDescriptor.open(lock, .readWrite, options: [.create], permissions: .ownerReadWrite)
            #expect(flock(held.rawValue, LOCK_EX) == 0)
            _ = try await yard.runtime.mountRoot("\(id)-1", layers: [])
            _ = try await yard.runtime.mountRoot("\(other)-1", layers: [])
            _ = try await yard.build("FROM busybox")
            #expect(try await yard.runtime.list().map(\.id) == ["\(other)-1"])
            try held.close()
            _ = try await yard.build("FROM busybox")
            #expect(try await yard.runtime.list().isEmpty)
        }
    }

    @Test func outputComesLineByLine() async throws {
        try await Yard.with { yard async throws in
            let built = try await yard.build("FROM busybox\nRUN i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf end")
            #expect(built.output.count == 3001)
            #expect(built.output.first == "line 0")
            #expect(built.output.last == "end")
        }
    }
}
