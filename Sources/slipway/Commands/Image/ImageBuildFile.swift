import ArgumentParser
import ContainerRuntime
import ContainerfileBuild
import Foundation
import ImageStore
import OCIModel
import RegistryClient
import SystemPackage
import UnixSignals

/// What `slipway image build --file` knows besides `--to`.
struct ContainerfileOptions: ParsableArguments {
    @Option(name: [.customShort("f"), .long], help: "Build from this Containerfile (Dockerfile).") var file: String?
    @Argument(help: "With --file: the folder COPY and ADD take files from (default: where the Containerfile is).") var context: String?
    @Option(help: "With --file: the stage to build; the last when not given.") var target: String?
    @Option(help: "With --file: NAME=VALUE of an ARG, or NAME to take it from the environment; may be repeated.") var buildArg: [String] = []
    @Option(help: "With --file: id=ID,src=FILE or id=ID,env=NAME, for RUN --mount=type=secret; may be repeated.") var secret: [String] = []
    @Option(help: "With --file: ID[=SOCKET] of an SSH agent (default: SSH_AUTH_SOCK), for RUN --mount=type=ssh.") var ssh: [String] = []
    @Option(help: "With --file: bridge, none or host, for every RUN that does not say.") var network: String = "bridge"
    @Option(help: "With --file: seconds one RUN may take.") var runTimeout: Int = 3600
    @Flag(help: "With --file: do every step again.") var noCache = false
    @Option(help: "With --file: REGISTRY/REPOSITORY[:TAG] of a cache to use; may be repeated.") var cacheFrom: [String] = []
    @Option(help: "With --file: REGISTRY/REPOSITORY[:TAG] to keep the cache of this build in.") var cacheTo: String?

    /// Nothing here means anything without `--file`.
    func refuseWithoutFile() throws {
        let given = [context, target, cacheTo].contains { $0 != nil } || noCache
        let lists = [buildArg, secret, ssh, cacheFrom].contains { !$0.isEmpty }
        if given || lists { throw ValidationError("A context, --target, --build-arg, --secret and the like go with --file") }
    }

    /// Builds into the store, with the caches it is to use and to leave.
    func build(
        _ request: ContainerfileBuildRequest, _ options: StoreOption, _ store: ImageStore, _ registries: OutsideRegistries,
        threads: Int?
    ) async throws -> Descriptor {
        let builder = ContainerfileBuilder(
            store: store, folder: options.folder, images: CommandImages(store: store, registries: registries),
            connections: registries.connections, allowsPrivate: true, threads: threads)
        for name in cacheFrom { try await importCache(name, registries, store, builder) }
        let image = try await Self.cancellable {
            try await builder.build(request, report: BuildProgress(isQuiet: options.json).report)
        }
        if !options.json { print("\(image.stepsRun) steps done, \(image.stepsCached) from the cache") }
        if let cacheTo { try await exportCache(image, to: cacheTo, registries, store, builder) }
        return image.manifest
    }

    func request(_ containerfile: FilePath, timestamp: Int64) throws -> ContainerfileBuildRequest {
        guard let network = ContainerfileBuildRequest.Network(rawValue: network) else {
            throw Failure("--network \(network)", hint: "choose bridge, none or host", status: Failure.usage)
        }
        let folder = context.map(absolute) ?? containerfile.removingLastComponent()
        var request = ContainerfileBuildRequest(
            containerfile: containerfile, context: folder, target: target, timestamp: timestamp, usesCache: !noCache,
            network: network, timeout: .seconds(runTimeout))
        let environment = ProcessInfo.processInfo.environment
        for text in buildArg {
            let (name, value) = Self.pair(text)
            request.arguments[name] = value ?? environment[name]
        }
        for text in secret {
            let (id, bytes) = try Self.secret(text, environment)
            request.secrets[id] = bytes
        }
        for text in ssh {
            let (id, socket) = Self.pair(text)
            guard let path = socket ?? environment["SSH_AUTH_SOCK"] else {
                throw Failure("--ssh \(text): no agent is running", hint: "start ssh-agent, or write --ssh \(id)=SOCKET", status: Failure.usage)
            }
            request.agents[id] = absolute(path)
        }
        return request
    }

    private static func pair(_ text: String) -> (name: String, value: String?) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return (parts[0], parts.count == 2 ? parts[1] : nil)
    }

    /// At most 500 KiB, as everywhere.
    private static func secret(_ text: String, _ environment: [String: String]) throws -> (String, [UInt8]) {
        var values: [String: String] = [:]
        for field in text.split(separator: ",") {
            let (name, value) = pair(String(field))
            values[name] = value ?? ""
        }
        let known: Set = ["id", "src", "source", "env", "type"]
        guard let id = values["id"], !id.isEmpty, Set(values.keys).isSubset(of: known) else {
            throw Failure("--secret \(text.prefix(40))", hint: "write id=ID,src=FILE or id=ID,env=NAME", status: Failure.usage)
        }
        if let name = values["env"] {
            guard let value = environment[name] else {
                throw Failure("--secret id=\(id): \(name) is not in the environment", hint: "set it, or use src=FILE", status: Failure.usage)
            }
            return (id, Array(value.utf8))
        }
        let path = values["src"] ?? values["source"] ?? id
        guard let data = FileManager.default.contents(atPath: absolute(path).string), data.count <= 500 << 10 else {
            throw Failure(
                "--secret id=\(id): \(path) cannot be read, or is larger than 500 KiB", hint: "name a file with the secret", status: Failure.usage)
        }
        return (id, Array(data))
    }

    private func importCache(
        _ name: String, _ registries: OutsideRegistries, _ store: ImageStore, _ builder: ContainerfileBuilder
    ) async throws {
        let reference = try ImageReference(parsing: name)
        do {
            let known = try await builder.importCache(try await registries.pull(reference, into: store))
            writeError("cache \(reference): \(known) steps")
        } catch let error as RegistryError where error.code == .notFound {
            // The first build of all.
            writeError("cache \(reference): none yet")
        }
    }

    private func exportCache(
        _ image: ContainerfileImage, to name: String, _ registries: OutsideRegistries, _ store: ImageStore,
        _ builder: ContainerfileBuilder
    ) async throws {
        let reference = try ImageReference(parsing: name)
        guard let host = reference.registry else {
            throw Failure("--cache-to \(name) names no registry", hint: "write HOST/REPOSITORY:TAG", status: Failure.usage)
        }
        let manifest = try await builder.exportCache(of: image)
        _ = try await registries.registry(host).push(
            manifest.digest, from: store, to: reference.repository, tag: try reference.tag ?? Tag(parsing: "latest"))
    }

    /// Ends the build when the user presses ^C: what runs is stopped and removed first.
    private static func cancellable<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { throw Failure("the build was cancelled") }
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() { if let result { return result } }
            throw CancellationError()
        }
    }
}
