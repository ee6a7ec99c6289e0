import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// One entry of a layer, read.
struct LayerChange {
    enum Kind {
        case node(LayerTree.Node)
        case hardlink(EntryName)
        case hide(FilePath.Component)
        case hideAll
    }

    let name: EntryName
    let kind: Kind

    /// Reads a layer, verifies it against its diffID and hands over its entries. `layer` is its number. Blocking.
    static func read(
        _ file: FilePath, expecting diffID: Digest, layer: Int, limits: LayerLimits, isCancelled: () -> Bool,
        _ body: (LayerChange) throws -> Void
    ) throws {
        var count = 0
        let found = try TarReader.read(file, limits: limits, algorithm: diffID.algorithm) { entry, reader in
            if isCancelled() { throw CancellationError() }
            count += 1
            guard count <= limits.entries else {
                throw TarError(
                    code: .limitExceeded, message: "\(file) has more than \(limits.entries) entries",
                    hint: "if you trust the image, raise \(LayerLimits.Name.entries.rawValue)")
            }
            if let change = try LayerChange(entry, reader, layer, limits) { try body(change) }
        }
        guard found.diffID == diffID else {
            throw ImageStoreError(
                code: .digestMismatch, message: "a layer has diffID \(found.diffID), its config says \(diffID)",
                hint: "the image is damaged; pull it again")
        }
    }

    private init?(_ entry: TarReader.Entry, _ reader: TarReader, _ layer: Int, _ limits: LayerLimits) throws {
        name = try EntryName(entry.path, limits)
        switch name.meaning {
        case .bookkeeping: return nil
        case .whiteout(let hidden): kind = .hide(hidden)
        case .opaqueWhiteout: kind = .hideAll
        case .file:
            let content: LayerTree.Content
            switch entry.kind {
            case .directory: content = .folder
            case .file(let size): content = .file(try Self.digest(reader, size))
            case .symlink(let target): content = .link(target)
            case .fifo: content = .fifo
            case .characterDevice(let major, let minor): content = .device(isBlock: false, major: major, minor: minor)
            case .blockDevice(let major, let minor): content = .device(isBlock: true, major: major, minor: minor)
            case .hardlink(let target):
                kind = .hardlink(try EntryName(target, limits))
                return
            }
            var node = LayerTree.Node(content: content, mode: entry.mode, uid: entry.uid, gid: entry.gid, layer: layer)
            for (key, value) in entry.xattrs { node.xattrs[key] = value }
            kind = .node(node)
        }
    }

    /// Of the data, where the holes are, and the size; holes are not read.
    private static func digest(_ reader: TarReader, _ size: Int64) throws -> Digest {
        var data = Digest.Hasher()
        var holes = Digest.Hasher()
        var end: Int64 = 0
        try reader.data { piece, offset in
            if offset != end { holes.update(Array("\(end) \(offset) ".utf8)) }
            data.update(piece)
            end = offset + Int64(piece.count)
        }
        return Digest.sha256(Array("\(data.finalize()) \(holes.finalize()) \(size)".utf8))
    }
}
