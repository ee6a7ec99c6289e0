import Foundation
import Glibc
import OCIModel
import SystemPackage
import TarArchive
import Testing

/// Layers unpacked one over the other, each into a folder of its own, as snapshots do it.
final class Unpacked {
    let scratch: Scratch
    var options = LayerExtractor.Options()
    private(set) var folders: [FilePath] = []
    private(set) var results: [LayerExtractor.Result] = []
    private var count = 0

    init() throws { scratch = try Scratch() }

    deinit { scratch.remove() }

    /// The folder of the last layer.
    var top: FilePath { folders.last ?? scratch.path }

    func add(_ fill: (inout TarBytes) throws -> Void) throws {
        var tar = TarBytes()
        try fill(&tar)
        try add(bytes: tar.ended)
    }

    func add(bytes: [UInt8], expecting: Digest? = nil) throws {
        count += 1
        let file = scratch.path.appending("layer-\(count)")
        try Data(bytes).write(to: URL(fileURLWithPath: file.string))
        let folder = try scratch.folder("rooms/out-\(count)")
        let lower = LowerLayers(folders: folders.reversed())
        results.append(try LayerExtractor(options: options).extract(file, to: folder, over: lower, expecting: expecting))
        folders.append(folder)
    }

    /// What a layer does: the code it is refused with, nil when it is unpacked.
    func code(_ fill: (inout TarBytes) throws -> Void) -> TarError.Code? { tarCode { try add(fill) } }

    func error(_ bytes: [UInt8]) -> TarError? {
        do {
            try add(bytes: bytes)
            return nil
        } catch { return error as? TarError }
    }

    /// `type|mode|uid:gid|target` of a name in the top layer; nil when there is none.
    func look(_ name: String, in layer: Int? = nil) -> String? {
        let path = folder(layer).string + "/" + name
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        let owner = "\(status.st_uid):\(status.st_gid)"
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return "folder|\(mode)|\(owner)" + (isOpaque(path) ? "|opaque" : "")
        case S_IFREG: return "file|\(mode)|\(owner)"
        case S_IFLNK: return "link|\((try? FileManager.default.destinationOfSymbolicLink(atPath: path)) ?? "")"
        case S_IFCHR: return status.st_rdev == 0 ? "whiteout" : "device"
        case S_IFIFO: return "fifo|\(mode)|\(owner)"
        default: return "other"
        }
    }

    func text(_ name: String, in layer: Int? = nil) -> String? {
        FileManager.default.contents(atPath: folder(layer).string + "/" + name).map { String(decoding: $0, as: UTF8.self) }
    }

    func status(_ name: String) throws -> stat {
        var status = stat()
        try #require(lstat(top.string + "/" + name, &status) == 0, "\(name) is missing")
        return status
    }

    /// Every path of the top layer.
    func names() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: top.string).sorted()
    }

    private func folder(_ layer: Int?) -> FilePath { layer.map { folders[$0] } ?? top }

    private func isOpaque(_ path: String) -> Bool {
        ExtendedAttributes.read("trusted.overlay.opaque", of: FilePath(path)) == [UInt8(ascii: "y")]
    }
}

extension TarError {
    /// Names the setting and its variable.
    func names(_ limit: LayerLimits.Name) -> Bool {
        code == .limitExceeded && message.contains(limit.rawValue) && hint.contains(limit.variable)
    }
}
