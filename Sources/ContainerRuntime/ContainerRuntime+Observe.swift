import BlockingQueue
import FoundationEssentials
import SystemPackage

extension ContainerRuntime {
    /// What is known of a container now; nil when there is none of that id.
    public func observe(_ id: String) async throws -> ContainerObservation? {
        guard ContainerSpec.isValid(id: id) else { return nil }
        return try await readers.run { _ in try look(paths(id)) }
    }

    /// All containers, also half-made ones and those that have exited, by id.
    public func list() async throws -> [ContainerObservation] {
        try await readers.run { _ in
            try Files.names(in: root).filter(ContainerSpec.isValid(id:)).sorted().compactMap { try look(paths($0)) }
        }
    }

    /// Waits until the container has ended. Works on any container of this root, whoever started it; any number may wait.
    /// Throws `CancellationError` when the task is cancelled (the container goes on), `.notFound` when it is removed.
    public func waitForExit(_ id: String) async throws -> ExitStatus {
        let paths = paths(id)
        guard let first = try await observe(id) else { throw ContainerError.notFound(id) }
        if case .exited(let status) = first.state { return status }
        // The second look is for a conmon that died and for a machine without inotify to spare.
        for await _ in FolderChanges.watch(paths.exitFolder, every: .seconds(1)) {
            guard let seen = try await observe(id) else { throw ContainerError.notFound(id) }
            if case .exited(let status) = seen.state { return status }
        }
        throw CancellationError()
    }

    func look(_ paths: ContainerPaths) throws(ContainerError) -> ContainerObservation? {
        guard Files.exists(paths.folder) else { return nil }
        let labels = Files.decode(Intent.self, from: paths.intent)?.labels ?? [:]
        var seen = ContainerObservation(id: paths.id, labels: labels, state: .created)
        guard let record = Files.decode(ProcessRecord.self, from: paths.record) else { return seen }
        seen.startedAt = record.startedAt
        // In this order: the exit file appears after the process has gone.
        let alive = record.isAlive
        if let code = try exitCode(paths) {
            let killed = Files.exists(paths.oom) || Cgroups.memoryKills(cgroup(paths.id)) > 0
            seen.state = .exited(ExitStatus(code: code, outOfMemory: killed))
        } else if alive {
            // A server killed right after it had let the process go left the pipe there.
            seen.state = Files.exists(paths.startPipe) && record.hasOpen(paths.startPipe) ? .created : .running
            seen.pid = record.pid
            seen.startedAfterBoot = record.startedAfterBoot
            seen.address = record.address
        } else if conmonIsAlive(paths) {
            // Between the process's end and conmon's last word.
            seen.state = .running
        } else {
            // conmon may have written it and gone since the first look.
            seen.state = .exited(try exitCode(paths).map { ExitStatus(code: $0) } ?? .lost)
        }
        return seen
    }

    private func exitCode(_ paths: ContainerPaths) throws(ContainerError) -> Int32? {
        guard let bytes = try Files.read(paths.exitFile, limit: 32) else { return nil }
        return Int32(String(decoding: bytes, as: UTF8.self).filter { $0.isNumber || $0 == "-" })
    }

    func conmonIsAlive(_ paths: ContainerPaths) -> Bool {
        ProcessRecord.pid(in: paths.conmonPIDFile).map { Conmon.isAlive($0, folder: paths.folder) } ?? false
    }
}

extension ContainerRuntime {
    /// The processor time that the container has used, in seconds; nil when it does not run.
    public func processorSeconds(_ id: String) async throws -> Double? {
        try await readers.run { _ in Cgroups.processorSeconds(cgroup(id)) }
    }
}
