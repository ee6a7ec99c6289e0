import Containerfile
import ImageStore
import OCIModel
import SystemPackage

/// What a stage has become, for those that read it.
struct StageResult: Sendable {
    var state: StageState
    /// A stage that builds on it goes on with its variables.
    var scope: StageScope
}

/// Builds the stages the target needs, each as soon as those it reads are there, and makes the image of the last.
struct StageRunner: Sendable {
    let session: BuildSession
    let source: BuildSource

    func build() async throws -> ContainerfileImage {
        let graph = source.graph
        let done = try await withThrowingTaskGroup(of: (Int, StageResult).self) { group in
            var done: [Int: StageResult] = [:]
            var waiting = graph.order
            func startReady() {
                for index in waiting where graph.nodes[index].dependencies.allSatisfy({ done[$0] != nil }) {
                    let ready = done
                    group.addTask { (index, try await stage(graph.nodes[index], ready)) }
                    waiting.removeAll { $0 == index }
                }
            }
            startReady()
            while let (index, result) = try await group.next() {
                done[index] = result
                startReady()
            }
            return done
        }
        guard let result = done[graph.target] else {
            throw ContainerfileBuildError(.failed, "the target stage was not built")
        }
        return try await image(result.state)
    }

    private func stage(_ node: BuildGraph.Node, _ done: [Int: StageResult]) async throws -> StageResult {
        let name = node.stage.name ?? "\(node.stage.index)"
        let line = node.stage.location.first
        var triggers = node.triggers
        var begun: StageResult
        do {
            switch node.base {
            case .stage(let index):
                guard let base = done[index] else { throw ContainerfileBuildError(.failed, "the stage below was not built") }
                begun = base
            case .scratch: begun = scratch(node)
            case .image(let reference):
                begun = try await image(reference, node)
                triggers += try (begun.state.execution.onBuild ?? []).map { try trigger($0, of: reference, node) }
            }
        } catch { throw StageBuilder.placed(error, source.file.file, line) }
        begun.state.execution.onBuild = nil
        let instructions = triggers + node.stage.instructions
        let count = instructions.count + 1
        let step = BuildStep(stage: name, number: 1, count: count, text: node.stage.text, line: line)
        await session.report(.started(step))
        await session.report(.finished(step, .done, .zero))
        var builder = StageBuilder(
            session: session, file: source.file.file, stage: name, count: count, number: 1, state: begun.state, scope: begun.scope,
            origin: { name, instruction in
                switch try source.graph.origin(named: name, for: instruction, inStage: node.stage.index) {
                case .scratch: return []
                case .stage(let index):
                    guard let found = done[index] else {
                        throw ContainerfileBuildError(
                            .unsupported, "a trigger of the base reads the stage '\(name)', which nothing else in this stage names",
                            hint: "COPY from it in this stage, too")
                    }
                    return found.state.layers
                case .image(let reference):
                    return try await self.image(reference, node).state.layers
                }
            })
        for instruction in instructions { try await builder.perform(instruction) }
        return StageResult(state: builder.state, scope: builder.scope)
    }

    /// A trigger stands where FROM stands: that is the line of its mistakes.
    private func trigger(_ text: String, of image: String, _ node: BuildGraph.Node) throws -> Instruction {
        var instruction = try ContainerfileParser.parseTrigger(text, image: image)
        instruction.location = node.stage.location
        return instruction
    }

    private func platform(_ node: BuildGraph.Node) -> Platform {
        node.platform ?? session.request.platform
    }

    private func scratch(_ node: BuildGraph.Node) -> StageResult {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        let state = StageState(
            platform: platform(node), execution: ExecutionConfig(env: [path], workingDir: "/"), layers: [], history: [])
        return StageResult(state: state, scope: scope([path]))
    }

    private func scope(_ environment: [String]) -> StageScope {
        StageScope(base: environment, globals: source.graph.globals, arguments: source.arguments)
    }

    private func image(_ reference: String, _ node: BuildGraph.Node) async throws -> StageResult {
        let wanted = platform(node)
        let digest = try await session.parts.images.digest(of: reference, platform: wanted)
        let loaded = try await session.parts.store.load(digest, platform: wanted)
        let config = loaded.config
        guard config.architecture == wanted.architecture, config.os == wanted.os else {
            throw ContainerfileBuildError(
                .invalidValue, "\(reference) is for \(config.os)/\(config.architecture), the build for \(wanted)",
                hint: "use an image for this platform, or build with --platform \(config.os)/\(config.architecture)")
        }
        let layers = try zip(loaded.manifest.layers, config.rootfs.diffIDs).map { layer, diffID in
            BuiltLayer(descriptor: try Self.ociLayer(layer, of: reference), diffID: diffID)
        }
        // Every layer must have its line: tools that unpack count them.
        var history = config.history ?? []
        let missing = layers.count - history.count { $0.emptyLayer != true }
        for _ in 0..<max(0, missing) { history.append(History(comment: "base layer")) }
        let execution = config.config ?? ExecutionConfig()
        let state = StageState(
            platform: Platform(architecture: config.architecture, os: config.os, variant: config.variant),
            author: config.author, execution: execution, layers: layers, history: history, base: (reference, loaded.digest))
        return StageResult(state: state, scope: scope(execution.env ?? []))
    }

    /// The same layer under the name OCI gives it: a manifest must not mix the two families.
    private static func ociLayer(_ layer: Descriptor, of image: String) throws -> Descriptor {
        let names = [
            MediaType.dockerLayerGzip: MediaType.ociLayerGzip,
            "application/vnd.docker.image.rootfs.diff.tar": MediaType.ociLayer,
            "application/vnd.docker.image.rootfs.diff.tar.zstd": MediaType.ociLayerZstd,
        ]
        let own = [MediaType.ociLayer, MediaType.ociLayerGzip, MediaType.ociLayerZstd]
        guard let type = own.contains(layer.mediaType) ? layer.mediaType : names[layer.mediaType] else {
            throw ContainerfileBuildError(
                .unsupported, "\(image) has a layer of type \(layer.mediaType)", hint: "use an image with plain, gzip or zstd layers")
        }
        return Descriptor(mediaType: type, digest: layer.digest, size: layer.size)
    }
}

extension StageRunner {
    /// Writes config and manifest of the result.
    private func image(_ state: StageState) async throws -> ContainerfileImage {
        let (request, store) = (session.request, session.parts.store)
        var execution = state.execution
        if !request.labels.isEmpty { execution.labels = (execution.labels ?? [:]).merging(request.labels) { $1 } }
        let config = ImageConfig(
            created: session.created, author: state.author, architecture: state.platform.architecture, os: state.platform.os,
            variant: state.platform.variant, config: execution, rootfs: RootFS(diffIDs: state.layers.map(\.diffID)),
            history: state.history)
        let configBytes = try OCIJSON.encode(config)
        let configDigest = try await store.write(configBytes)
        var annotations = request.annotations
        if let base = state.base {
            annotations["org.opencontainers.image.base.digest"] = base.digest.description
            annotations["org.opencontainers.image.base.name"] = base.name
        }
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: configDigest, size: Int64(configBytes.count)),
            layers: state.layers.map(\.descriptor), annotations: annotations.isEmpty ? nil : annotations)
        let bytes = try OCIJSON.encode(manifest)
        let digest = try await store.write(bytes)
        let steps = session.steps
        return ContainerfileImage(
            manifest: Descriptor(
                mediaType: MediaType.ociManifest, digest: digest, size: Int64(bytes.count), platform: state.platform),
            config: configDigest, layers: manifest.layers, stepsRun: steps.run, stepsCached: steps.cached,
            cacheKeys: session.keys)
    }
}
