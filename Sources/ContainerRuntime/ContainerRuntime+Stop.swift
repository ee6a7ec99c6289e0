import BlockingQueue
import FoundationEssentials
import Glibc
import SystemPackage

extension ContainerRuntime {
    /// Sends a signal to the container's first process; SIGKILL ends all of them, for the first one's end does. A
    /// container that has ended already is left alone.
    ///
    /// - Parameter fence: who asks, as in ``start(_:fence:)``.
    public func signal(_ id: String, _ signal: Int32, fence: Fence? = nil) async throws {
        guard ContainerSpec.isValid(id: id) else { throw ContainerError.notFound(id) }
        // Only who has a fence may have to wait.
        try await (fence == nil ? readers : queue).run { cancellation in
            try withPermit(fence, patience(cancellation)) {
                let paths = paths(id)
                guard Files.exists(paths.folder) else { throw ContainerError.notFound(id) }
                guard let record = Files.decode(ProcessRecord.self, from: paths.record), record.isAlive else { return }
                if kill(record.pid, signal) != 0, errno != ESRCH {
                    throw ContainerError(.runtimeFailed, "cannot signal \(id): \(Errno(rawValue: errno))")
                }
            }
        }
    }

    /// Asks with SIGTERM, ends with SIGKILL after `grace`; returns when the container has ended. It stays known, with
    /// its log, until ``remove(_:fence:)``.
    ///
    /// - Parameter fence: who asks, as in ``start(_:fence:)``.
    public func stop(_ id: String, grace: Duration, fence: Fence? = nil) async throws {
        try await signal(id, SIGTERM, fence: fence)
        if try await exits(id, within: grace) { return }
        try await signal(id, SIGKILL, fence: fence)
        guard try await exits(id, within: .seconds(20)) else {
            throw ContainerError(
                .timedOut, "container \(id) does not end after SIGKILL", hint: "one of its processes hangs in the kernel")
        }
    }

    private func exits(_ id: String, within time: Duration) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                _ = try await waitForExit(id)
                return true
            }
            group.addTask {
                try await Task.sleep(for: time)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }

    /// Ends the container and removes all that is left of it: processes, cgroup, mount, address, log, files. Safe to
    /// repeat, on half-made containers, and on an unknown id.
    ///
    /// - Parameter fence: who asks, as in ``start(_:fence:)``.
    public func remove(_ id: String, fence: Fence? = nil) async throws {
        guard ContainerSpec.isValid(id: id) else { return }
        try await queue.run { cancellation in
            let paths = paths(id)
            let patience = patience(cancellation)
            try withPermit(fence, patience) {
                guard Files.exists(paths.folder) else { return }
                try Files.makeFolder(paths.lock.removingLastComponent())
                try Files.withLock(paths.lock, patience) { try tearDown(paths) }
            }
        }
    }

    /// The way back of ``start(_:fence:)``, from wherever it came to. The folder goes last: as long as it is there, someone
    /// will find it and try again.
    func tearDown(_ paths: ContainerPaths) throws {
        guard Files.exists(paths.folder) else { return }
        try endProcesses(paths)
        if Files.exists(paths.runtimeRoot.appending(paths.id)) {
            let runtime = try Command.find(settings.runtime, in: settings.searchPath)
            let result = try Command(
                program: runtime, arguments: ["--root", paths.runtimeRoot.string, "delete", "--force", paths.id],
                environment: ["PATH": settings.searchPath]
            ).run(timeout: 30)
            if result.code != 0, Files.exists(paths.runtimeRoot.appending(paths.id)) {
                throw ContainerError(.runtimeFailed, "cannot delete \(paths.id): \(result.errors.suffix(1000))")
            }
        }
        try network(paths).detach()
        Overlay.unmount(paths)
        try MemoryFiles.unmount(paths)
        // Never by the recursive way: were it still mounted, that would empty what is mounted in it.
        guard rmdir(paths.rootFolder.string) == 0 || errno == ENOENT else {
            throw ContainerError.file("remove", paths.rootFolder, Errno(rawValue: errno))
        }
        try Files.removeTree(paths.sockets.appending(paths.id))
        unlink(paths.program.string)
        try Files.removeTree(paths.folder)
    }

    /// Kills the first process, with it the PID namespace, and waits until conmon has said its last word.
    private func endProcesses(_ paths: ContainerPaths) throws {
        // A conmon without a pid file is still creating: what it makes must be there before it can be removed.
        let created = ContinuousClock.now + .seconds(10)
        while !Files.exists(paths.pidFile), !Files.exists(paths.exitFile), Conmon.find(folder: paths.folder) != nil,
            ContinuousClock.now < created
        {
            usleep(2000)
        }
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            if let record = Files.decode(ProcessRecord.self, from: paths.record), record.isAlive { kill(record.pid, SIGKILL) }
            let left = Cgroups.processes(cgroup(paths.id))
            for pid in left { kill(pid, SIGKILL) }
            if left.isEmpty && !conmonIsAlive(paths) { return }
            usleep(1000)
        }
        if conmonIsAlive(paths), let pid = ProcessRecord.pid(in: paths.conmonPIDFile) {
            kill(pid, SIGKILL)
        }
    }
}
