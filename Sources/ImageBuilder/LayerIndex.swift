import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// What one layer says about folders and symbolic links; kept on disk per layer, as reading a large base takes longer than
/// building on it.
struct LayerIndex: Sendable {
    struct Folder: Sendable, Hashable {
        let mode: UInt16
        let uid: UInt32
        let gid: UInt32
    }

    var folders: [String: Folder] = [:]
    var links: [String: String] = [:]
    /// Paths the layer removes, or replaces by a file.
    var hidden: [String] = []
    /// Folders of whose former content the layer leaves nothing.
    var opaque: [String] = []

    init() {}

    /// Of a layer that is about to be written over `base`.
    init(_ entries: some Sequence<TarEntry>, over base: BaseTree) {
        for entry in entries {
            switch entry.content {
            case .directory:
                folders[entry.path] = Folder(mode: entry.mode, uid: UInt32(clamping: entry.uid), gid: UInt32(clamping: entry.gid))
            case .symlink(let target): links[entry.path] = target
            default: if base.links[entry.path] != nil { hidden.append(entry.path) }
            }
        }
    }

    /// Reads a layer and verifies it against its diffID. Blocking.
    init(layer: FilePath, expecting diffID: Digest, limits: LayerLimits) throws {
        var index = LayerIndex()
        let found = try TarReader.read(layer, limits: limits, algorithm: diffID.algorithm) { entry, _ in
            let names = entry.path.components.filter { $0.kind == .regular }.map(\.string)
            guard let name = names.last else { return }
            let path = names.joined(separator: "/")
            let parent = names.dropLast().joined(separator: "/")
            if name == ".wh..wh..opq" {
                index.opaque.append(parent)
            } else if name.hasPrefix(".wh."), !name.hasPrefix(".wh..wh.") {
                index.hidden.append(parent.isEmpty ? String(name.dropFirst(4)) : "\(parent)/\(name.dropFirst(4))")
            } else if case .directory = entry.kind {
                index.folders[path] = Folder(mode: entry.mode, uid: entry.uid, gid: entry.gid)
                index.links[path] = nil
            } else if case .symlink(let target) = entry.kind {
                index.links[path] = target.string
                index.folders[path] = nil
            }
        }
        guard found.diffID == diffID else {
            throw ImageStoreError(
                code: .digestMismatch, message: "a base layer has diffID \(found.diffID), its config says \(diffID)",
                hint: "the base image is damaged; pull it again")
        }
        self = index
    }

    // MARK: On disk: NUL-terminated words (no path holds a NUL), and a digest of them all.

    private static let magic = "layer-index-2"

    func write(to file: FilePath) {
        var bytes: [UInt8] = []
        func word(_ text: some StringProtocol) {
            bytes.append(contentsOf: text.utf8)
            bytes.append(0)
        }
        word(Self.magic)
        for (path, folder) in folders.sorted(by: { $0.key < $1.key }) {
            for text in ["d", path, "\(folder.mode)", "\(folder.uid)", "\(folder.gid)"] { word(text) }
        }
        for (path, target) in links.sorted(by: { $0.key < $1.key }) { for text in ["l", path, target] { word(text) } }
        for path in hidden { for text in ["h", path] { word(text) } }
        for path in opaque { for text in ["o", path] { word(text) } }
        word(Digest.sha256(bytes).hex)
        CacheFiles.write(bytes, to: file)
    }

    /// Nil when there is no usable index.
    init?(file: FilePath) {
        guard let bytes = CacheFiles.read(file, limit: 256 << 20), bytes.count > 65, bytes.last == 0 else { return nil }
        let body = bytes.count - 65
        guard Array(bytes[body..<(body + 64)]) == Array(Digest.sha256(Array(bytes[..<body])).hex.utf8) else { return nil }
        var words = bytes[..<body].split(separator: 0, omittingEmptySubsequences: false).dropLast()
            .lazy.map { String(decoding: $0, as: UTF8.self) }.makeIterator()
        guard words.next() == Self.magic else { return nil }
        while let kind = words.next() {
            guard let path = words.next() else { return nil }
            switch kind {
            case "d":
                guard let mode = words.next().flatMap({ UInt16($0) }), let uid = words.next().flatMap({ UInt32($0) }),
                    let gid = words.next().flatMap({ UInt32($0) })
                else { return nil }
                folders[path] = Folder(mode: mode, uid: uid, gid: gid)
            case "l":
                guard let target = words.next() else { return nil }
                links[path] = target
            case "h": hidden.append(path)
            case "o": opaque.append(path)
            default: return nil
            }
        }
    }
}
