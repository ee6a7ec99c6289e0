import BlockingQueue
import Glibc
public import OCIModel
public import SystemPackage
import TarArchive

extension ImageArchive {
    /// Writes an image to `path`, which must not exist yet; every blob is hashed again on the way. `reference` is
    /// the name it gets inside. A docker archive holds one platform, an index is resolved to this machine's.
    public static func export(
        _ image: Digest, reference: ImageReference, from store: ImageStore, to path: FilePath, format: Format
    ) async throws {
        guard access(path.string, F_OK) != 0 else {
            throw ImageStoreError(code: .fileSystem, message: "\(path) exists already", hint: "choose another name or remove it")
        }
        let entries =
            switch format {
            case .ociLayout, .ociArchive: try await layout(image, reference, store)
            case .dockerArchive: try await docker(image, reference, store)
            }
        let temporary = path.removingLastComponent().appending(".\(path.lastComponent?.string ?? "image").\(Files.uniqueName())")
        try await queue.run { cancellation in
            do {
                if format == .ociLayout {
                    try writeFolder(entries, temporary, cancellation)
                } else {
                    try writeTar(entries, temporary, store.limits, cancellation)
                }
                try Files.rename(temporary, path)
            } catch {
                try? ExtractedFolder.remove(temporary)
                throw error
            }
        }
    }

    private static func layout(_ image: Digest, _ reference: ImageReference, _ store: ImageStore) async throws -> [TarEntry] {
        var blobs: Set<Digest> = []
        let mediaType = try await collect(image, store, &blobs, depth: 0)
        let top = Descriptor(
            mediaType: mediaType, digest: image, size: try store.size(of: image) ?? 0,
            annotations: ["org.opencontainers.image.ref.name": reference.tag?.rawValue ?? "latest"])
        let index = try OCIJSON.encode(Index(manifests: [top]))
        let plain = try await verified(blobs, store).map { blob in
            TarEntry(path: "blobs/\(blob.algorithm.rawValue)/\(blob.hex)", content: .file(store.path(of: blob)), mode: 0o644)
        }
        let folders = Set(blobs.map(\.algorithm)).union([.sha256]).map { algorithm in
            TarEntry(path: "blobs/\(algorithm.rawValue)", content: .directory, mode: 0o755)
        }
        return
            ([
                TarEntry(path: "oci-layout", content: .bytes(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)), mode: 0o644),
                TarEntry(path: "index.json", content: .bytes(index), mode: 0o644),
                TarEntry(path: "blobs", content: .directory, mode: 0o755),
            ] + folders + plain).sortedForArchive()
    }

    private static func collect(_ digest: Digest, _ store: ImageStore, _ blobs: inout Set<Digest>, depth: Int) async throws -> String {
        let bytes = try await store.read(digest)
        blobs.insert(digest)
        if depth < 4, let index = try? OCIJSON.decode(Index.self, from: bytes) {
            for child in index.manifests { _ = try await collect(child.digest, store, &blobs, depth: depth + 1) }
            return index.mediaType ?? MediaType.ociIndex
        }
        let manifest = try OCIJSON.decode(Manifest.self, from: bytes)
        blobs.formUnion([manifest.config.digest] + manifest.layers.map(\.digest))
        return manifest.mediaType ?? MediaType.ociManifest
    }

    private static func verified(_ blobs: Set<Digest>, _ store: ImageStore) async throws -> [Digest] {
        for blob in blobs { try await store.verify(blob) }
        return blobs.sorted()
    }

    /// Layers of a docker archive are plain tars, named by diffID.
    private static func docker(_ image: Digest, _ reference: ImageReference, _ store: ImageStore) async throws -> [TarEntry] {
        let loaded = try await store.load(image)
        _ = try await verified(Set(loaded.manifest.layers.map(\.digest)), store)
        struct Item: Encodable {
            let Config: String
            let RepoTags: [String]
            let Layers: [String]
        }
        let config = loaded.manifest.config.digest
        let name = (reference.registry.map { "\($0)/" } ?? "") + "\(reference.repository):\(reference.tag?.rawValue ?? "latest")"
        let item = Item(
            Config: "\(config.hex).json", RepoTags: [name], Layers: loaded.config.rootfs.diffIDs.map { "\($0.hex).tar" })
        var entries = [
            TarEntry(path: "manifest.json", content: .bytes(try OCIJSON.encode([item])), mode: 0o644),
            TarEntry(path: item.Config, content: .bytes(try await store.read(config)), mode: 0o644),
        ]
        var seen: Set<Digest> = []
        for (layer, diffID) in zip(loaded.manifest.layers, loaded.config.rootfs.diffIDs) where seen.insert(diffID).inserted {
            entries.append(TarEntry(path: "\(diffID.hex).tar", content: .file(store.path(of: layer.digest)), mode: 0o644))
        }
        return entries.sortedForArchive()
    }

    private static func writeFolder(_ entries: [TarEntry], _ folder: FilePath, _ cancellation: Cancellation) throws {
        try Files.createFolder(folder)
        for entry in entries {
            if cancellation.isCancelled { throw CancellationError() }
            let path = folder.pushing(FilePath(entry.path))
            switch entry.content {
            case .directory: try Files.createFolder(path)
            case .bytes(let bytes):
                let output = try Files.open(path, O_WRONLY | O_CREAT | O_EXCL)
                try bytes.withUnsafeBytes { try Files.write($0, to: output.descriptor, at: path) }
            case .file(let source):
                let input = try Files.open(source, O_RDONLY)
                let output = try Files.open(path, O_WRONLY | O_CREAT | O_EXCL)
                try Files.readAll(input.descriptor, at: source) { try Files.write($0, to: output.descriptor, at: path) }
            default: break
            }
        }
        try ExtractedFolder.sync(folder)
    }

    private static func writeTar(
        _ entries: [TarEntry], _ path: FilePath, _ limits: LayerLimits, _ cancellation: Cancellation
    ) throws {
        var plain = entries
        var doomed: [FilePath] = []
        defer { for file in doomed { _ = try? Files.unlink(file) } }
        // A docker archive wants uncompressed layers: unpacked beside the archive, one temporary file each.
        for index in plain.indices where plain[index].path.hasSuffix(".tar") {
            guard case .file(let source) = plain[index].content else { continue }
            let file = FilePath("\(path).\(index)")
            doomed.append(file)
            let output = try Files.open(file, O_WRONLY | O_CREAT | O_EXCL)
            let expected = plain[index].path.dropLast(".tar".count)
            let algorithm = Digest(hex: String(expected))?.algorithm ?? .sha256
            let diffID = try LayerBytes.open(source, limits: limits, algorithm: algorithm) { bytes in
                while let piece = try bytes.next() { try Files.write(piece, to: output.descriptor, at: file) }
                return try bytes.finish()
            }
            guard expected == diffID.hex else {
                throw ImageStoreError(
                    code: .digestMismatch, message: "a layer has diffID \(diffID), the config says otherwise",
                    hint: "the image is damaged; pull it again")
            }
            plain[index].content = .file(file)
        }
        let output = try Files.open(path, O_WRONLY | O_CREAT | O_EXCL)
        let sink = FileSink(descriptor: output.descriptor, path: path)
        try TarWriter.write(plain, timestamp: 0, to: sink) { cancellation.isCancelled }
        try sink.flush()
        try Files.sync(output.descriptor, at: path)
    }

    /// Collects libarchive's small pieces into large writes. The descriptor outlives it.
    private final class FileSink: TarSink {
        private let descriptor: Int32
        private let path: FilePath
        private var buffer: [UInt8] = []

        init(descriptor: Int32, path: FilePath) {
            self.descriptor = descriptor
            self.path = path
            buffer.reserveCapacity(1 << 19)
        }

        func write(_ bytes: UnsafeRawBufferPointer) throws {
            buffer.append(contentsOf: bytes)
            if buffer.count >= 1 << 18 { try flush() }
        }

        func flush() throws {
            try buffer.withUnsafeBytes { try Files.write($0, to: descriptor, at: path) }
            buffer.removeAll(keepingCapacity: true)
        }
    }
}
