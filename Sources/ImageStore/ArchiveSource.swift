import Glibc
import OCIModel
import SystemPackage
import TarArchive

/// A layout or archive, as names with content, whether it is a folder or a tar. Blocking.
///
/// A tar is read once: small documents are kept, everything that looks like a blob goes into the store under its
/// own digest straight away.
struct ArchiveSource {
    enum Kind { case ociLayout, dockerArchive, rootFolder, rootTar }

    let kind: Kind
    private let folder: FilePath?
    private let documents: [String: [UInt8]]
    /// Digest and size of every other file of a tar, by name.
    private let stored: [String: (digest: Digest, size: Int64)]
    private let links: [String: String]
    private let store: ImageStore

    private static let documentLimit = 4 << 20

    init(_ path: FilePath, store: ImageStore) throws {
        self.store = store
        var status = stat()
        guard path.withPlatformString({ stat($0, &status) }) == 0 else { throw Files.failure("read", path) }
        if status.st_mode & S_IFMT == S_IFDIR {
            folder = path
            (documents, stored, links) = ([:], [:], [:])
            kind = try Files.size(path.appending("oci-layout")) != nil ? .ociLayout : .rootFolder
            return
        }
        folder = nil
        kind = try Self.look(path, store.limits)
        guard kind != .rootTar else {
            (documents, stored, links) = ([:], [:], [:])
            return
        }
        var documents: [String: [UInt8]] = [:]
        var stored: [String: (digest: Digest, size: Int64)] = [:]
        var links: [String: String] = [:]
        try TarReader.read(path, limits: store.limits) { entry, reader in
            let name = Self.name(entry.path)
            switch entry.kind {
            case .file(let size):
                if size <= Self.documentLimit, name.hasSuffix(".json") || name == "oci-layout" {
                    documents[name] = try reader.bytes(limit: Self.documentLimit)
                } else {
                    stored[name] = try Self.keep(reader, store, by: Self.algorithm(of: name))
                }
            case .symlink(let target):
                // `docker save` of old links equal layers: `<id>/layer.tar` to `../<id>/layer.tar`.
                links[name] = Self.name(FilePath(name).removingLastComponent().appending(target.components).lexicallyNormalized())
            case .hardlink(let target): links[name] = Self.name(target)
            default: break
            }
        }
        (self.documents, self.stored, self.links) = (documents, stored, links)
    }

    private static func name(_ path: FilePath) -> String {
        path.components.filter { $0.kind == .regular }.map(\.string).joined(separator: "/")
    }

    /// Reads the names only, to learn what the tar is.
    private static func look(_ path: FilePath, _ limits: LayerLimits) throws -> Kind {
        struct Found: Error { let kind: Kind }
        do {
            try TarReader.read(path, limits: limits) { entry, _ in
                guard case .file = entry.kind else { return }
                switch name(entry.path) {
                case "oci-layout": throw Found(kind: .ociLayout)
                default: break
                }
            }
            var docker = false
            try TarReader.read(path, limits: limits) { entry, _ in if name(entry.path) == "manifest.json" { docker = true } }
            return docker ? .dockerArchive : .rootTar
        } catch let found as Found {
            return found.kind
        }
    }

    /// A layout names its blobs by the algorithm of their digests.
    private static func algorithm(of name: String) -> DigestAlgorithm {
        name.hasPrefix("blobs/sha512/") ? .sha512 : .sha256
    }

    private static func keep(
        _ reader: TarReader, _ store: ImageStore, by algorithm: DigestAlgorithm
    ) throws -> (digest: Digest, size: Int64) {
        let temporary = store.temporaryPath()
        var hasher = Digest.Hasher(algorithm)
        var size: Int64 = 0
        do {
            let handle = try Files.open(temporary, O_WRONLY | O_CREAT | O_EXCL)
            try reader.data { piece, offset in
                guard offset == size else {
                    throw ImageStoreError(
                        code: .invalidImage, message: "the archive holds a blob as a sparse file", hint: "make it again without: tar --sparse")
                }
                try Files.write(piece, to: handle.descriptor, at: temporary)
                hasher.update(piece)
                size += Int64(piece.count)
            }
        } catch {
            _ = try? Files.unlink(temporary)
            throw error
        }
        let digest = hasher.finalize()
        _ = try store.ingestNow(temporary, expecting: nil, known: (digest, size))
        return (digest, size)
    }

    /// A small document.
    func document(_ name: String) throws -> [UInt8] {
        if let folder {
            return try Files.read(folder.pushing(FilePath(Self.name(FilePath(name)))), limit: Self.documentLimit)
        }
        if let bytes = documents[name] { return bytes }
        if let (digest, _) = stored[name] { return try store.readNow(digest) }
        throw ImageStoreError(code: .invalidImage, message: "the archive has no \(name)", hint: "it is incomplete; make it again")
    }

    /// Puts a file into the store and returns its digest and size. The name cannot leave the source.
    func keep(_ name: String, expecting: Digest? = nil) throws -> (Digest, Int64) {
        let plain = Self.name(FilePath(name))
        if let folder {
            let path = folder.pushing(FilePath(plain))
            let temporary = store.temporaryPath()
            do {
                let input = try Files.open(path, O_RDONLY | O_NOFOLLOW)
                let output = try Files.open(temporary, O_WRONLY | O_CREAT | O_EXCL)
                try Files.readAll(input.descriptor, at: path) { try Files.write($0, to: output.descriptor, at: temporary) }
            } catch {
                _ = try? Files.unlink(temporary)
                throw error
            }
            return try store.ingestNow(temporary, expecting: expecting)
        }
        let real = links[plain] ?? plain
        let found: (digest: Digest, size: Int64)
        if let bytes = documents[real] {
            found = (try store.writeNow(bytes, expecting: expecting), Int64(bytes.count))
        } else if let file = stored[real] {
            found = file
        } else {
            throw ImageStoreError(code: .invalidImage, message: "the archive has no \(plain)", hint: "it is incomplete; make it again")
        }
        if let expecting, expecting != found.digest { throw store.mismatch(expecting, found.digest) }
        return found
    }
}
