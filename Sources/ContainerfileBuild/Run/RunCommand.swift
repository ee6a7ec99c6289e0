import ContainerRuntime
import OCIModel
import SystemPackage

/// One command over a stage's file tree, everything resolved.
struct RunCommand: Sendable {
    var arguments: [String]
    var environment: [String]
    var workingDirectory: String
    var user: String
    var network: ContainerSpec.Network
    var mounts: RunMounts
}

extension BuildSession {
    /// Runs a command to its end and returns the layer it wrote. Its lines are reported as they come.
    func run(_ command: RunCommand, over layers: [BuiltLayer], step: BuildStep) async throws -> BuiltLayer? {
        let folders = try await folders(of: layers)
        let container = newContainer()
        let mounts = command.mounts
        let spec = ContainerSpec(
            id: container, layers: folders, arguments: command.arguments, environment: command.environment,
            workingDirectory: command.workingDirectory, user: command.user, mounts: mounts.binds,
            limits: .init(pids: 16384), network: command.network, hostname: "build",
            capabilities: ContainerSpec.buildCapabilities, memoryMounts: mounts.memory, memoryFiles: mounts.files,
            allowsNewPrivileges: true, hidesMountPoints: true)
        let result: Result<BuiltLayer?, any Error>
        do {
            _ = try await parts.runtime.start(spec)
            try await finish(container, step)
            let changes = parts.runtime.changes(of: container)
            result = .success(try await layer(of: changes))
        } catch {
            result = .failure(error)
        }
        try await remove(container)
        return try result.get()
    }

    private func finish(_ container: String, _ step: BuildStep) async throws {
        let (runtime, timeout, mask) = (parts.runtime, request.timeout, SecretMask(request.secrets.values))
        let status: ExitStatus? = try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            group.addTask {
                let lines = runtime.log(container).follow(from: 0) {
                    guard let seen = try? await runtime.observe(container), case .exited = seen.state else { return false }
                    return true
                }
                for try await line in lines { await self.report(.output(step, mask.masked(line.text))) }
                return try await runtime.waitForExit(container)
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let status else {
            throw ContainerfileBuildError(
                .timedOut, "the command did not end within \(timeout)", hint: "raise the time limit of the build")
        }
        if status.outOfMemory {
            throw ContainerfileBuildError(.commandFailed, "the command ran out of memory", hint: "give the build more, or let it do less at once")
        }
        guard status.code == 0 else {
            throw ContainerfileBuildError(
                .commandFailed, "the command failed with exit code \(status.code)", hint: "its last lines say why")
        }
    }
}
