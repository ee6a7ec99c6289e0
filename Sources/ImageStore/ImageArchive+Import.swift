import BlockingQueue
import Glibc
import OCIModel
import SystemPackage
import TarArchive

/// An OCI layout: every blob below the chosen image is verified against its descriptor.
struct LayoutImport {
    let source: ArchiveSource
    let store: ImageStore

    func run(reference: String?) throws -> ImageArchive.Imported {
        let index = try OCIJSON.decode(Index.self, from: try source.document("index.json"))
        let key = "org.opencontainers.image.ref.name"
        let candidates = reference.map { name in index.manifests.filter { $0.annotations?[key] == name } } ?? index.manifests
        guard let top = candidates.first, candidates.count == 1 else {
            let names = index.manifests.compactMap { $0.annotations?[key] }.joined(separator: ", ")
            throw ImageStoreError(
                code: candidates.isEmpty ? .notFound : .invalidImage,
                message: "the layout has \(index.manifests.count) images (\(names))\(reference.map { ", none named '\($0)'" } ?? "")",
                hint: "say which image to import by its name")
        }
        var all: [Descriptor] = []
        try keep(top, depth: 0, into: &all)
        return ImageArchive.Imported(top: top, all: all)
    }

    private func keep(_ descriptor: Descriptor, depth: Int, into all: inout [Descriptor]) throws {
        guard depth < 4 else { throw ImageStoreError(code: .invalidImage, message: "indexes are nested too deeply", hint: "") }
        try blob(descriptor)
        if MediaType.isIndex(descriptor.mediaType) {
            let index = try OCIJSON.decode(Index.self, from: try store.readNow(descriptor.digest))
            for child in index.manifests { try keep(child, depth: depth + 1, into: &all) }
        } else if MediaType.isManifest(descriptor.mediaType) {
            let manifest = try OCIJSON.decode(Manifest.self, from: try store.readNow(descriptor.digest))
            try blob(manifest.config)
            for layer in manifest.layers { try blob(layer) }
        } else {
            throw ImageStoreError(code: .unsupported, message: "a layout entry of type \(descriptor.mediaType)", hint: "")
        }
        all.append(descriptor)
    }

    private func blob(_ descriptor: Descriptor) throws {
        let (_, size) = try source.keep("blobs/\(descriptor.digest.algorithm.rawValue)/\(descriptor.digest.hex)", expecting: descriptor.digest)
        guard size == descriptor.size else {
            throw ImageStoreError(
                code: .sizeMismatch, message: "\(descriptor.digest) has \(size) bytes, its descriptor says \(descriptor.size)",
                hint: "the layout is malformed; make it again")
        }
    }
}

/// `docker save`: a config and plain layers, from which we make an OCI manifest. Layers are compressed again, the
/// same way every time, so importing twice gives one digest.
struct DockerImport {
    let source: ArchiveSource
    let store: ImageStore

    private struct Item: Codable {
        let Config: String
        let RepoTags: [String]?
        let Layers: [String]
    }

    func run(reference: String?) throws -> ImageArchive.Imported {
        let items = try OCIJSON.decode([Item].self, from: try source.document("manifest.json"))
        let candidates = reference.map { name in items.filter { $0.RepoTags?.contains(name) == true } } ?? items
        guard let item = candidates.first, candidates.count == 1 else {
            throw ImageStoreError(
                code: candidates.isEmpty ? .notFound : .invalidImage, message: "the archive has \(items.count) images",
                hint: "say which image to import by its name: \(items.flatMap { $0.RepoTags ?? [] }.joined(separator: ", "))")
        }
        let bytes = try source.document(item.Config)
        let config = try OCIJSON.decode(ImageConfig.self, from: bytes)
        guard config.rootfs.diffIDs.count == item.Layers.count else {
            throw ImageStoreError(code: .invalidImage, message: "the archive's layers and its config disagree", hint: "save the image again")
        }
        var layers: [Descriptor] = []
        for (name, diffID) in zip(item.Layers, config.rootfs.diffIDs) {
            let (digest, _) = try source.keep(name)
            let summary = try RootImport.recompress(store.path(of: digest), store)
            guard summary.diffID == diffID else { throw store.mismatch(diffID, summary.diffID) }
            layers.append(Descriptor(mediaType: MediaType.ociLayerGzip, digest: summary.digest, size: summary.size))
        }
        return try RootImport.finish(config: bytes, layers: layers, platform: nil, store)
    }
}

/// A root file system that becomes an image of one layer.
struct RootImport {
    let path: FilePath
    let store: ImageStore
    let platform: Platform
    let timestamp: Int64
    let cancellation: Cancellation

    func run(folder: Bool) throws -> ImageArchive.Imported {
        let summary: LayerSummary
        if folder {
            let entries = try RootFolder.entries(path)
            let temporary = store.temporaryPath()
            summary = try LayerCompressor.compress(to: temporary, threads: Self.threads) { sink in
                try TarWriter.write(entries, timestamp: timestamp, to: sink) { cancellation.isCancelled }
            }
            _ = try store.ingestNow(temporary, expecting: nil, known: (summary.digest, summary.size))
        } else {
            var files = 0
            try TarReader.read(path, limits: store.limits) { _, _ in files += 1 }
            guard files > 0 else {
                throw ImageStoreError(code: .invalidImage, message: "\(path) is an empty archive", hint: "name a root file system")
            }
            summary = try Self.recompress(path, store)
        }
        let config = ImageConfig(
            architecture: platform.architecture, os: platform.os, variant: platform.variant,
            config: ExecutionConfig(env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], cmd: ["/bin/sh"]),
            rootfs: RootFS(diffIDs: [summary.diffID]), history: [History(createdBy: "slipway image import")])
        let layer = Descriptor(mediaType: MediaType.ociLayerGzip, digest: summary.digest, size: summary.size)
        return try Self.finish(config: try OCIJSON.encode(config), layers: [layer], platform: platform, store)
    }

    static var threads: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// The same archive, plain bytes kept, in our own compression.
    static func recompress(_ file: FilePath, _ store: ImageStore) throws -> LayerSummary {
        let temporary = store.temporaryPath()
        let summary = try LayerCompressor.compress(to: temporary, threads: threads) { sink in
            try LayerBytes.open(file, limits: store.limits) { bytes in while let piece = try bytes.next() { try sink.write(piece) } }
        }
        _ = try store.ingestNow(temporary, expecting: nil, known: (summary.digest, summary.size))
        return summary
    }

    static func finish(config: [UInt8], layers: [Descriptor], platform: Platform?, _ store: ImageStore) throws -> ImageArchive.Imported {
        let digest = try store.writeNow(config)
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: digest, size: Int64(config.count)), layers: layers)
        let bytes = try OCIJSON.encode(manifest)
        let top = Descriptor(
            mediaType: MediaType.ociManifest, digest: try store.writeNow(bytes), size: Int64(bytes.count), platform: platform)
        return ImageArchive.Imported(top: top, all: [top])
    }
}
