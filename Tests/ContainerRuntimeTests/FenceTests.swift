import ContainerRuntime
import Foundation
import Glibc
import SystemPackage
import Testing

/// Holders that were taken over, and wake up.
@Suite struct FenceTests {
    private func code(_ body: () async throws -> Void) async -> ContainerError.Code? {
        do { try await body() } catch let error as ContainerError { return error.code } catch { Issue.record("\(error)") }
        return nil
    }

    /// Another process, stopped while it has a lock on `path`.
    private func stoppedHolder(of path: FilePath, shared: Bool = false) async throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
        process.arguments = [shared ? "-s" : "-x", path.string, "-c", "echo held; exec cat"]
        let (output, input) = (Foundation.Pipe(), Foundation.Pipe())
        process.standardOutput = output
        process.standardInput = input
        try process.run()
        #expect(try output.fileHandleForReading.read(upToCount: 5) == Data("held\n".utf8))
        kill(process.processIdentifier, SIGSTOP)
        return process
    }

    private func end(_ process: Process) {
        // Its child has the lock too, and ends with its input.
        try? (process.standardInput as? Foundation.Pipe)?.fileHandleForWriting.close()
        kill(process.processIdentifier, SIGCONT)
        process.waitUntilExit()
    }

    @Test func whatWasTakenOverIsRefused() async throws {
        try await Machine.with { machine async throws in
            let runtime = machine.runtime
            let (old, new) = (Fence(owner: "run-1", epoch: 1), Fence(owner: "run-1", epoch: 2))
            let spec = machine.spec("run-1-a", "sleep 1000")
            // Nobody was admitted.
            #expect(await code { _ = try await runtime.start(spec, fence: old) } == .fenced)
            try await runtime.fence(old)
            try await runtime.fence(old)
            _ = try await runtime.start(spec, fence: old)

            try await runtime.fence(new)
            #expect(await code { try await runtime.fence(old) } == .fenced)
            #expect(await code { _ = try await runtime.start(machine.spec("run-1-b", "sleep 1000"), fence: old) } == .fenced)
            #expect(await code { try await runtime.stop("run-1-a", grace: .zero, fence: old) } == .fenced)
            #expect(await code { try await runtime.remove("run-1-a", fence: old) } == .fenced)
            #expect(await code { try await runtime.acting(as: old) { _ = Issue.record("acts") } } == .fenced)
            #expect(try await runtime.list().map(\.id) == ["run-1-a"])
            // The new one finds what the old one started, and goes on with it.
            #expect(try await runtime.start(spec, fence: new).state == .running)
            try await runtime.acting(as: new) {}
            try await runtime.stop("run-1-a", grace: .zero, fence: new)
            try await runtime.remove("run-1-a", fence: new)
            #expect(try await runtime.list().isEmpty)

            // Over is over, for the last holder too; other owners have nothing to do with it.
            try await runtime.fence(Fence(owner: "run-2", epoch: 1))
            try await runtime.forget(owner: "run-1")
            try await runtime.forget(owner: "run-1")
            #expect(await code { _ = try await runtime.start(spec, fence: new) } == .fenced)
            #expect(try await runtime.owners() == ["run-2"])
            try await runtime.forget(owner: "run-2")
            #expect(try await runtime.owners().isEmpty)
            #expect(try await runtime.list().isEmpty)
        }
    }

    @Test func aNewHolderWaitsForTheOldOnesStart() async throws {
        try await Machine.with { machine async throws in
            var settings = machine.settings
            settings.lockPatience = .milliseconds(100)
            let hasty = ContainerRuntime(root: machine.folder.appending("containers"), settings: settings)
            let (old, new) = (Fence(owner: "run-1", epoch: 7), Fence(owner: "run-1", epoch: 8))
            try await hasty.fence(old)
            // The old holder is stopped in the middle of something.
            let stopped = try await stoppedHolder(of: machine.folder.appending("state/epochs/run-1"), shared: true)
            defer { end(stopped) }
            do {
                try await hasty.fence(new)
                Issue.record("nobody was waited for")
            } catch let error as ContainerError {
                #expect(error.code == .busy && error.description.contains("process \(stopped.processIdentifier) "), "\(error)")
            }
            // It does nothing more, though the new one has not come in yet.
            #expect(await code { try await hasty.acting(as: old) { _ = Issue.record("acts") } } == .fenced)
            async let admitted: Void = machine.runtime.fence(new)
            try await Task.sleep(for: .milliseconds(20))
            end(stopped)
            try await admitted
            try await hasty.acting(as: new) {}
        }
    }

    @Test func aContainerInOthersHandsIsNotWaitedForForEver() async throws {
        try await Machine.with { machine async throws in
            var settings = machine.settings
            settings.lockPatience = .milliseconds(100)
            let hasty = ContainerRuntime(root: machine.folder.appending("containers"), settings: settings)
            try FileManager.default.createDirectory(
                atPath: machine.folder.appending("state/locks").string, withIntermediateDirectories: true)
            let stopped = try await stoppedHolder(of: machine.folder.appending("state/locks/a"))
            do {
                _ = try await hasty.start(machine.spec("a", "true"))
                Issue.record("it was started")
            } catch let error as ContainerError {
                #expect(error.code == .busy && error.hint.contains("kill -CONT \(stopped.processIdentifier)"), "\(error)")
            }
            #expect(try await hasty.observe("a") == nil)
            end(stopped)
            _ = try await hasty.start(machine.spec("a", "true"))
            #expect(try await hasty.waitForExit("a").code == 0)
        }
    }
}
