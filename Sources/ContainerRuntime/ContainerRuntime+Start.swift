import BlockingQueue
import FoundationEssentials
import Glibc
import SystemPackage

extension ContainerRuntime {
    /// Starts a container, or finds the one of that id.
    ///
    /// Running or exited: its observation, nothing is changed. Half-made (a start that was killed): cleaned up and begun
    /// again. When it throws, or the task is cancelled, nothing of the container stays.
    ///
    /// - Parameter fence: who asks; refused (`.fenced`) when another holder was admitted, see ``fence(_:)``.
    public func start(_ spec: ContainerSpec, fence: Fence? = nil) async throws -> ContainerObservation {
        try spec.validate()
        return try await alone(spec.id, as: fence) { paths, cancellation in try startOrFind(spec, paths, cancellation) }
    }

    /// Makes sure that a container runs, as ``start(_:fence:)`` does, and begins one that has ended anew. Nobody else starts or
    /// removes it meanwhile.
    ///
    /// - Parameter isWanted: asked first; when it says no, nothing is done, and the result is nil.
    public func revive(
        _ spec: ContainerSpec, if isWanted: @escaping @Sendable () throws -> Bool
    ) async throws -> ContainerObservation? {
        try spec.validate()
        return try await alone(spec.id) { paths, cancellation in
            guard try isWanted() else { return nil }
            if case .exited? = try look(paths)?.state { try tearDown(paths) }
            return try startOrFind(spec, paths, cancellation)
        }
    }

    /// Runs `body`, with what is there, while nobody starts or removes the container. It need not exist.
    public func alone<T: Sendable>(
        with id: String, _ body: @escaping @Sendable (ContainerObservation?) throws -> T
    ) async throws -> T {
        guard ContainerSpec.isValid(id: id) else { throw ContainerError.notFound(id) }
        return try await alone(id) { paths, _ in try body(try look(paths)) }
    }

    private func alone<T: Sendable>(
        _ id: String, as fence: Fence? = nil, _ body: @escaping @Sendable (ContainerPaths, Cancellation) throws -> T
    ) async throws -> T {
        try await queue.run { cancellation in
            let paths = paths(id)
            let patience = patience(cancellation)
            return try withPermit(fence, patience) {
                try Files.makeFolder(paths.lock.removingLastComponent())
                return try Files.withLock(paths.lock, patience) { try body(paths, cancellation) }
            }
        }
    }

    private func startOrFind(
        _ spec: ContainerSpec, _ paths: ContainerPaths, _ cancellation: Cancellation
    ) throws -> ContainerObservation {
        if let seen = try look(paths), seen.state != .created { return seen }
        try tearDown(paths)
        do {
            return try make(spec, paths, cancellation)
        } catch {
            try? tearDown(paths)
            throw error
        }
    }

    private func make(
        _ spec: ContainerSpec, _ paths: ContainerPaths, _ cancellation: Cancellation
    ) throws -> ContainerObservation {
        let conmon = Conmon(
            program: try Command.find(settings.conmon, in: settings.searchPath),
            runtime: try Command.find(settings.runtime, in: settings.searchPath), paths: paths, settings: settings)
        for folder in [
            paths.folder, paths.exitFolder, paths.persist, paths.runtimeRoot, paths.sockets, paths.program.removingLastComponent(),
        ] {
            try Files.makeFolder(folder)
        }
        try Files.write(Intent(labels: spec.labels, arguments: spec.arguments), to: paths.intent)
        for mount in spec.mounts where !Files.exists(FilePath(mount.source)) {
            throw ContainerError(
                .invalidSpec, "container \(spec.id): \(mount.source), to be seen as \(mount.destination), is not there",
                hint: "make it first")
        }
        // conmon appends to what is there.
        if let log = spec.continuedLog, link(log, paths.log.string) != 0, errno != ENOENT {
            throw ContainerError.file("continue the log", FilePath(log), Errno(rawValue: errno))
        }
        try Overlay.mount(spec, paths)
        try MemoryFiles.mount(spec, paths)
        if spec.hidesMountPoints, try MountPoints(spec: spec, paths: paths).make() {
            Overlay.unmount(paths)
            try Overlay.mount(spec, paths, top: paths.mountPoints)
        }
        let user = try UserLookup(root: paths.rootFolder).resolve(spec.user)
        try NameFiles(spec: spec, paths: paths, settings: settings).write(address: nil)
        let config = RuntimeConfig(
            spec, paths: paths, user: user, cgroup: cgroup(spec.id), unified: Cgroups.unified,
            swapLimits: Cgroups.limitsSwap)
        try Files.write(config, to: paths.config)
        try Files.write(config.process, to: paths.program)

        try stopIfCancelled(cancellation)
        let pid = try conmon.create(spec.arguments[0])
        unlink(paths.config.string)
        var record = ProcessRecord(
            pid: pid, startTicks: ProcessRecord.startTicks(of: pid) ?? 0, bootID: ProcessRecord.bootID(), address: nil,
            startedAt: Date())
        if spec.network == .bridge {
            try stopIfCancelled(cancellation)
            record.address = try network(paths).attach(pid: pid, preferring: spec.address)
            try NameFiles(spec: spec, paths: paths, settings: settings).write(address: record.address)
        }
        try stopIfCancelled(cancellation)
        try Files.write(record, to: paths.record)
        try release(paths, conmon)
        let running = ContainerObservation(
            id: spec.id, labels: spec.labels, state: .running, address: record.address, pid: pid, startedAt: record.startedAt)
        return try look(paths) ?? running
    }

    /// `runc start`, without the 20 ms of another runc where the pipe it would open is known. A process of its own reads the pipe: were
    /// this one killed while it reads, the container's first process would find the pipe broken, and end.
    private func release(_ paths: ContainerPaths, _ conmon: Conmon) throws {
        if Files.exists(paths.startPipe), let cat = try? Command.find("cat", in: settings.searchPath) {
            let read = try? Command(program: cat, arguments: [paths.startPipe.string], environment: [:]).run(timeout: 10)
            if let read, read.code == 0, !read.output.isEmpty {
                unlink(paths.startPipe.string)
                return
            }
            // A server that was stopped in here finds that the process went all the same: it must not be taken for one that did not.
            if let seen = try look(paths), seen.state != .created { return }
        }
        let result = try Command(
            program: conmon.runtime, arguments: ["--root", paths.runtimeRoot.string, "start", paths.id],
            environment: ["PATH": settings.searchPath]
        ).run(timeout: 30)
        if result.code != 0, !Files.exists(paths.exitFile) {
            throw RuntimeWords(result.errors).error(command: "")
        }
    }

    private func stopIfCancelled(_ cancellation: Cancellation) throws {
        if cancellation.isCancelled { throw CancellationError() }
    }
}
