import Driver
import Glibc
import SystemPackage
import TarArchive

/// Unpacks any bytes over a lower layer: whatever happens, nothing beside the folder changes.
@_cdecl("Layer_main")
func main(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    var count = count
    var arguments = arguments
    return LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
        guard let place else { preconditionFailure("no temporary folder") }
        var input = Array(UnsafeBufferPointer(start: bytes, count: count))
        driver_repair_tar(&input, input.count)
        place.unpack(input)
        return 0
    }
}

private let place = try? Place()

private struct Place {
    let root: FilePath
    let lower: FilePath
    let layer: FilePath

    init() throws {
        let base: FilePath = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        root = base.appending("slipway-fuzz-\(getpid())")
        lower = root.appending("lower")
        layer = root.appending("layer")
        for folder in [root, lower, lower.appending("usr"), lower.appending("usr").appending("lib")] {
            guard folder.withPlatformString({ mkdir($0, 0o755) }) == 0 else { throw Errno(rawValue: errno) }
        }
        let links: [(String, String)] = [("lib", "usr/lib"), ("up", "../../.."), ("loop", "loop"), ("abs", "/usr")]
        for (name, target) in links { guard symlink(target, lower.appending(name).string) == 0 else { throw Errno(rawValue: errno) } }
        try LayerCompressor.compress(to: lower.appending("usr").appending("file"), threads: 1) { try [1, 2, 3].withUnsafeBytes($0.write) }
    }

    func unpack(_ bytes: [UInt8]) {
        var options = LayerExtractor.Options()
        options.limits.bytes = 1 << 20
        options.limits.ratioFrom = 1 << 20
        options.limits.entries = 200
        let out = root.appending("out")
        do {
            try write(bytes)
            try ExtractedFolder.remove(out)
            guard out.withPlatformString({ mkdir($0, 0o755) }) == 0 else { throw Errno(rawValue: errno) }
            _ = try LayerExtractor(options: options).extract(layer, to: out, over: LowerLayers(folders: [lower]))
        } catch let error as TarError {
            precondition(!error.message.isEmpty && !error.hint.isEmpty, "\(error)")
        } catch {
            preconditionFailure("\(error)")
        }
        precondition(names(root) == ["layer", "lower", "out"], "\(names(root))")
        precondition(names(lower) == ["abs", "lib", "loop", "up", "usr"], "\(names(lower))")
    }

    private func write(_ bytes: [UInt8]) throws {
        let file = try FileDescriptor.open(layer, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite])
        try file.closeAfter { _ = try file.writeAll(bytes) }
    }

    private func names(_ folder: FilePath) -> [String] {
        guard let listing = folder.withPlatformString({ opendir($0) }) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
