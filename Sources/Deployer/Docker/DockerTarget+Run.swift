import Glibc
import NIOHTTP1
import Synchronization
import SystemPackage

extension DockerTarget {
    private static let outputLimit = 64 << 10

    /// A daemon has no request that ends such a program. On this machine it is killed by its process number. On another one it is
    /// left to end by itself, and no other begins in the instance before it has.
    public func run(_ command: [String], in instance: String, timeout: Duration) async throws -> CommandEnd {
        let found = try await onAnswering { api in try await self.inspect(instance, api).map { (api, $0) } }.compactMap { $0 }
        guard let (api, container) = found.first(where: { isOurs($0.1) }) else {
            throw DeployerError(.instanceFailed, "the instance \(instance) is gone", hint: "it is started again by itself")
        }
        if let last = leftovers.program(in: container.id) {
            guard try await state(of: last, api)?.running != true else {
                return CommandEnd(.timedOut, lastLine: "the one before has not ended yet")
            }
            leftovers.forget(in: container.id)
        }
        let made = try await api.ask(.POST, "/containers/\(container.id)/exec", body: DockerValues.CreateExec(cmd: command))
        guard let made else { throw CancellationError() }
        let id = try api.decode(made.body, "/exec", as: DockerValues.Created.self).id
        leftovers.note(id, in: container.id)
        let (output, isComplete) = try await api.attach(
            "/exec/\(id)/start", body: DockerValues.StartExec(), limit: Self.outputLimit, timeout: timeout)
        func end(_ status: CommandEnd.Status) -> CommandEnd {
            CommandEnd(
                status, output: String(decoding: DockerLog.text(output) { $0 == 1 }, as: UTF8.self),
                errors: String(decoding: DockerLog.text(output) { $0 == 2 }, as: UTF8.self))
        }
        guard isComplete else {
            if let left = try await state(of: id, api), left.running, let pid = left.pid { kill(pid, of: container.id) }
            return end(.timedOut)
        }
        // The daemon closes the output a moment before it knows how the program ended.
        for _ in 0..<100 {
            guard let state = try await state(of: id, api) else { break }
            if !state.running, let code = state.exitCode {
                leftovers.forget(in: container.id)
                return end(.exited(code))
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return end(.timedOut)
    }

    private func state(of program: String, _ api: DockerAPI) async throws -> DockerValues.Exec? {
        try await api.get("/exec/\(program)/json")
    }

    /// With its session, when it is a process of this machine and of that container: cgroups(7) are named by containers' ids.
    private func kill(_ pid: Int32, of container: String) {
        guard pid > 1, let bytes = try? AtomicFile.read(FilePath("/proc/\(pid)/cgroup"), limit: 64 << 10),
            String(decoding: bytes, as: UTF8.self).contains(container)
        else { return }
        Glibc.kill(-pid, SIGKILL)
        Glibc.kill(pid, SIGKILL)
    }
}

/// Programs that may still run in containers, by the container's id.
final class LeftoverPrograms: Sendable {
    private let programs = Mutex<[String: String]>([:])

    func program(in container: String) -> String? { programs.withLock { $0[container] } }
    func note(_ program: String, in container: String) { programs.withLock { $0[container] = program } }
    func forget(in container: String) { programs.withLock { _ = $0.removeValue(forKey: container) } }
}
