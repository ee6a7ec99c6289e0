import BlockingQueue
import ContainerRuntime
import Containerfile
import OCIModel

extension StageBuilder {
    mutating func perform(
        _ run: RunInstruction, _ instruction: Instruction, _ step: BuildStep
    ) async throws -> BuildEvent.Outcome {
        guard run.security == .sandbox else {
            throw ContainerfileBuildError(
                .unsupported, "--security=insecure is not supported: a RUN never gets more rights than a container has",
                hint: "do what needs it outside the build")
        }
        guard state.platform.architecture == Platform.current.architecture, state.platform.os == "linux" else {
            throw ContainerfileBuildError(
                .unsupported, "RUN for \(state.platform) cannot be done on \(Platform.current)",
                hint: "cross-compile in a stage FROM --platform=$BUILDPLATFORM, and COPY the result")
        }
        let plans = try await mountPlans(run.mounts, instruction)
        var command = RunCommand(
            arguments: [], environment: environment, workingDirectory: state.workingDirectory,
            user: state.execution.user ?? "", network: try network(run.network), mounts: RunMounts())
        var script: ContainerSpec.MemoryFile?
        switch run.command {
        case .exec(let words): command.arguments = words
        case .shell(let text): command.arguments = state.shell + [text]
        case .script(let name, let content):
            script = .init(destination: "/dev/pipes/\(name)", content: Array(content.utf8), mode: 0o755)
            command.arguments = state.shell + ["/dev/pipes/\(name)"]
        }
        let key = try await key(command, script, plans)
        let (session, layers, prepared) = (session, state.layers, command)
        let proxies = scope.proxies.map { "\($0.name)=\($0.value)" }
        let mounts = script.map { RunMounts(files: [$0]) } ?? RunMounts()
        let (layer, outcome) = try await session.layer(for: key) {
            try await session.withMounts(plans[...], mounts) { mounts in
                var command = prepared
                command.mounts = mounts
                command.environment += proxies + mounts.environment
                return try await session.run(command, over: layers, step: step)
            }
        }
        record(step, layer)
        return outcome
    }

    /// Without the proxies, which decide nothing about the image.
    private var environment: [String] {
        scope.runEnvironment.dropLast(scope.proxies.count).map { "\($0.name)=\($0.value)" }
    }

    private func network(_ network: RunInstruction.Network) throws -> ContainerSpec.Network {
        switch (network, session.request.network) {
        case (.none, _): .none
        case (.default, .bridge): .bridge
        case (.default, .none): .none
        case (.default, .host), (.host, .host): .host
        case (.host, _):
            throw ContainerfileBuildError(
                .unsupported, "--network=host is not allowed in this build",
                hint: "it shows the command this machine's own network; if that is right: slipway image build --network host")
        }
    }

    private func mountPlans(_ flags: [MountFlag], _ instruction: Instruction) async throws -> [MountPlan] {
        var plans: [MountPlan] = []
        for flag in flags {
            var mount = try flag.resolved(in: variables)
            var origin: [BuiltLayer]?
            switch mount {
            case .bind(var bind):
                if let from = bind.from { origin = try await self.origin(from, instruction) }
                bind.target = target(bind.target)
                mount = .bind(bind)
            case .cache(var cache):
                if let from = cache.from { origin = try await self.origin(from, instruction) }
                cache.target = target(cache.target)
                mount = .cache(cache)
            case .tmpfs(let path, let size): mount = .tmpfs(target: target(path), size: size)
            case .secret(var secret):
                secret.target = secret.target.map(target)
                mount = .secret(secret)
            case .ssh(var ssh):
                ssh.target = ssh.target.map(target)
                mount = .ssh(ssh)
            }
            plans.append(MountPlan(mount: mount, origin: origin))
        }
        return plans
    }

    private func target(_ path: String) -> String {
        let absolute = state.absolute(path)
        return absolute.count > 1 && absolute.hasSuffix("/") ? String(absolute.dropLast()) : absolute
    }

    /// Everything that decides what the command does. Not the values of secrets, what caches hold, or proxies.
    private func key(_ command: RunCommand, _ script: ContainerSpec.MemoryFile?, _ plans: [MountPlan]) async throws -> Digest {
        var key = CacheKey("RUN", below: state.layers, for: session.request)
        key.add("arguments", command.arguments)
        key.add("environment", command.environment)
        key.add("folder", command.workingDirectory)
        key.add("user", command.user)
        key.add("network", command.network.rawValue)
        if let script { key.add("script", Digest.sha256(script.content)) }
        for plan in plans {
            if let origin = plan.origin { key.add("from", origin.map(\.diffID.description)) }
            switch plan.mount {
            case .bind(let bind):
                key.add("bind", [bind.source, bind.target, "\(bind.isReadOnly)"])
                if plan.origin == nil { key.add("content", try await contextDigest(bind.source)) }
            case .cache(let cache): key.add("cache", [cache.id, cache.target, "\(cache.isReadOnly)", cache.source])
            case .tmpfs(let target, let size): key.add("tmpfs", [target, "\(size ?? 0)"])
            case .secret(let secret): key.add("secret", [secret.id, secret.target ?? "", secret.variable ?? ""])
            case .ssh(let ssh): key.add("ssh", [ssh.id, ssh.target ?? ""])
            }
        }
        return key.digest()
    }

    private func contextDigest(_ source: String) async throws -> Digest {
        let session = session
        return try await session.queue.run { cancellation in
            try session.contextTree(source, cancellation).digest { cancellation.isCancelled }
        }
    }
}
