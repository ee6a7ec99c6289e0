import Glibc
import OCIModel
import SystemPackage
import TarArchive

/// The files of one copy, as far as they are known.
struct CopySource: Sendable {
    let copy: BuildRequest.Copy
    /// Real path of the source; with an identity, only once its files are needed.
    private(set) var path: FilePath
    private let context: FilePath
    /// How the image's history calls it.
    let historyName: String
    /// What the layer depends on besides its content, the base and the place in it.
    let settings: CacheKey
    /// What the source holds; nil while a file of it is unread.
    private(set) var contentKey: ContentHash?
    /// When the scan began, in nanoseconds since 1970.
    private var begun: Int64 = 0
    private var nodes: [SourceNode]?
    /// The files are not as the index said, or there was none.
    private var isIndexStale = false

    /// Finds out whether the source changed, without opening a file of it; with an identity, without looking at it at all.
    /// Blocking.
    init(_ copy: BuildRequest.Copy, _ request: BuildRequest, _ cache: LayerCache, isCancelled: @escaping () -> Bool) throws {
        self.copy = copy
        var inside = copy.source
        let isInside = !request.context.components.isEmpty && inside.removePrefix(request.context)
        historyName = isInside ? inside.string : copy.source.lastComponent?.string ?? ""
        settings = try Self.settings(copy, request, cache)
        context = request.context
        path = copy.source
        if let identity = copy.identity {
            contentKey = ContentHash(of: "identity \(identity)")
            return
        }
        path = try Self.checked(copy.source, context)
        if let index = SourceIndex(file: cache.sourceIndex(of: path)) {
            if index.isUnchanged(path) {
                contentKey = index.contentKey
                return
            }
            try look(index, isCancelled)
        }
    }

    private static func checked(_ source: FilePath, _ context: FilePath) throws -> FilePath {
        let context = try SourceFiles.real(context)
        let path = try SourceFiles.real(source)
        guard path.starts(with: context) else {
            throw ImageBuilderError(
                code: .sourceOutsideContext, message: "\(source) lies outside \(context)",
                hint: "copy only what the repository or a step put into the workspace")
        }
        return path
    }

    private static func settings(_ copy: BuildRequest.Copy, _ request: BuildRequest, _ cache: LayerCache) throws -> CacheKey {
        var key = CacheKey("layer")
        key.add(LayerCache.version)
        key.add(Int64(TarWriter.version))
        key.add(request.compression.identity)
        key.add(copy.destination)
        key.add(copy.source.lastComponent?.string)
        key.add(Int64(copy.mode.map(Int.init) ?? -1))
        key.add(Int64(copy.uid))
        key.add(Int64(copy.gid))
        key.add(request.fileTimestamp ?? request.timestamp)
        key.add(request.secrets.isEmpty ? nil : try cache.fingerprint(of: request.secrets))
        return key
    }

    private mutating func look(_ index: SourceIndex?, _ isCancelled: @escaping () -> Bool) throws {
        begun = SourceIndex.now()
        let found = try SourceScan.nodes(of: path, index: index, isCancelled: isCancelled)
        nodes = found
        isIndexStale = true
        if copy.identity == nil { contentKey = found.contentKey }
    }

    /// The nodes of the source, for a layer that must be written.
    mutating func scan(_ cache: LayerCache, _ isCancelled: @escaping () -> Bool) throws -> [SourceNode] {
        if copy.identity != nil { path = try Self.checked(copy.source, context) }
        if nodes == nil { try look(copy.identity == nil ? SourceIndex(file: cache.sourceIndex(of: path)) : nil, isCancelled) }
        return nodes ?? []
    }

    /// Reads the files whose content is not known.
    mutating func readFiles(_ key: FileHasher.Key, _ isCancelled: @escaping () -> Bool) throws {
        if nodes == nil { try look(nil, isCancelled) }
        for position in (nodes ?? []).indices where nodes?[position].content == nil {
            if isCancelled() { throw CancellationError() }
            guard let node = nodes?[position] else { continue }
            let file = node.path.isEmpty ? path : path.pushing(FilePath(node.path))
            nodes?[position].content = try SourceFiles.hash(file, key)
        }
        contentKey = nodes?.contentKey
    }

    /// What was learned while the files went into an archive, whose entries were made of `items`.
    mutating func take(_ hashes: ContentHashes, _ items: [LayerPlan.Item]) {
        for (item, content) in zip(items, hashes.found) {
            guard let node = item.node, nodes?[Int(node)].kind == .file else { continue }
            nodes?[Int(node)].content = content
        }
        contentKey = nodes?.contentKey
    }

    func keepIndex(in cache: LayerCache) {
        guard isIndexStale, copy.identity == nil, let nodes, let contentKey else { return }
        SourceIndex.write(nodes, key: contentKey, of: path, begun: begun, to: cache.sourceIndex(of: path))
    }
}
