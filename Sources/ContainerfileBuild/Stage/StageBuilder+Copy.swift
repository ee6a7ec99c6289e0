import BlockingQueue
import ContainerRuntime
import Containerfile
import OCIModel

/// COPY or ADD with every word expanded.
struct CopyRequest: Sendable {
    /// Absolute; with a trailing slash when it is a folder in any case.
    var destination: String
    var owner: Ownership?
    var mode: ModeChange?
    var isLinked: Bool
    var keepsParents: Bool
    var excludes: [String]
}

extension StageBuilder {
    mutating func perform(
        _ copy: CopyInstruction, _ instruction: Instruction, _ step: BuildStep
    ) async throws -> BuildEvent.Outcome {
        let request = try expanded(copy.destination, copy.options, keepsParents: copy.keepsParents)
        let (paths, documents) = try expanded(copy.sources)
        var key = self.key("COPY", request, paths)
        let session = session
        let trees: @Sendable (TreeRoot, Cancellation) throws -> [CopyTree] = { root, cancellation in
            let reader = try session.sources(root, isContext: copy.from == nil, request) { cancellation.isCancelled }
            return try reader.trees(paths)
        }
        let documentTrees = documents.map {
            CopyTree.file($0.name, $0.content, seconds: session.request.timestamp, in: session.context.root)
        }
        if let from = copy.from {
            let origin = try await origin(from, instruction)
            key.add("from", origin.map(\.diffID.description))
            for tree in documentTrees { key.add("document", try tree.digest()) }
            return try await write(request, key, step) { body in
                try await session.withRoot(of: origin) { mounted in
                    let root = TreeRoot(path: mounted.root)
                    return try await body(try await session.queue.run { try trees(root, $0) } + documentTrees)
                }
            }
        }
        let (read, digests) = try await session.queue.run { cancellation in
            let all = try trees(session.context.root, cancellation) + documentTrees
            return (all, try all.map { try $0.digest { cancellation.isCancelled } })
        }
        key.add("content", digests.map(\.description))
        return try await write(request, key, step) { body in try await body(read) }
    }

    /// Copies what `lend` lends into the stage's tree, unless it was done before.
    mutating func write(
        _ request: CopyRequest, _ key: CacheKey, _ step: BuildStep,
        from lend: @Sendable (_ body: @Sendable ([CopyTree]) async throws -> BuiltLayer?) async throws -> BuiltLayer?
    ) async throws -> BuildEvent.Outcome {
        let (session, layers) = (session, request.isLinked ? [] : state.layers)
        let (layer, outcome) = try await session.layer(for: key.digest()) {
            try await lend { trees in
                try await session.withRoot(of: layers) { mounted in
                    try await session.queue.run { cancellation in
                        try session.write(trees, request, to: TreeRoot(path: mounted.root)) { cancellation.isCancelled }
                    }
                    return try await session.layer(of: mounted.changes)
                }
            }
        }
        record(step, layer)
        return outcome
    }

    func expanded(_ destination: Word, _ options: CopyOptions, keepsParents: Bool = false) throws -> CopyRequest {
        let variables = variables
        func parsed<T>(_ word: Word?, _ parse: (String) throws(InvalidValue) -> T) throws -> T? {
            guard let word, try !word.expanded(in: variables).isEmpty else { return nil }
            return try word.expanded(in: variables, as: parse)
        }
        return CopyRequest(
            destination: state.absolute(try destination.expanded(in: variables)),
            owner: try parsed(options.owner, Ownership.init(parsing:)),
            mode: try parsed(options.mode, ModeChange.init(parsing:)), isLinked: options.isLinked,
            keepsParents: keepsParents, excludes: options.excludes)
    }

    func expanded(_ sources: [CopySource]) throws -> (paths: [String], documents: [(name: String, content: [UInt8])]) {
        let variables = variables
        var paths: [String] = []
        var documents: [(name: String, content: [UInt8])] = []
        for source in sources {
            switch source {
            case .path(let word): paths.append(try word.expanded(in: variables))
            case .heredoc(let document):
                documents.append((document.name, Array(try document.content.expanded(in: variables).utf8)))
            }
        }
        return (paths, documents)
    }

    func key(_ instruction: String, _ request: CopyRequest, _ paths: [String]) -> CacheKey {
        var key = CacheKey(instruction, below: request.isLinked ? [] : state.layers, for: session.request)
        key.add("paths", paths)
        key.add("destination", request.destination)
        key.add("owner", request.owner.map { "\($0)" } ?? "")
        key.add("mode", request.mode.map { "\($0)" } ?? "")
        key.add("flags", ["\(request.isLinked)", "\(request.keepsParents)"] + request.excludes)
        return key
    }
}

extension BuildSession {
    /// Reads sources below a root; of the context, what is ignored is not there, and everything belongs to root.
    func sources(
        _ root: TreeRoot, isContext: Bool, _ request: CopyRequest, isCancelled: @escaping () -> Bool
    ) throws -> CopySources {
        try CopySources(
            root: root, ignore: isContext ? context.ignore : nil, isContext: isContext,
            excludes: request.excludes.isEmpty ? nil : IgnoreRules(patterns: request.excludes),
            keepsParents: request.keepsParents, isCancelled: isCancelled)
    }

    /// Blocking.
    func write(_ trees: [CopyTree], _ request: CopyRequest, to root: TreeRoot, isCancelled: @escaping () -> Bool) throws {
        let names = try Accounts(of: root)
        let owner = try request.owner.map { try names.owner($0) }
        let change = request.mode
        let changed = trees.map { tree in
            tree.changed(owner: owner, mode: change.map { change in { UInt16(change.applied(to: UInt32($0), isDirectory: $1)) } })
        }
        let isFolder = request.destination.hasSuffix("/") || request.keepsParents
        if changed.count > 1, !isFolder, try !root.find(request.destination).isFolder {
            throw ContainerfileBuildError(
                .invalidValue, "\(changed.count) sources cannot all be the file \(request.destination)",
                hint: "end the destination with '/': it is a folder")
        }
        let writer = TreeWriter(root: root, owner: owner ?? (0, 0), time: self.request.timestamp, isCancelled: isCancelled)
        try writer.write(changed, to: request.destination, isFolder: isFolder)
    }
}
