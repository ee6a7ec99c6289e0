import Driver
import SystemPackage
import TarArchive

/// Reads any bytes as a layer: it either throws a `TarError` or keeps its promises.
@_cdecl("Tar_main")
func main(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    var count = count
    var arguments = arguments
    return LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
        var input = Array(UnsafeBufferPointer(start: bytes, count: count))
        driver_repair_tar(&input, input.count)
        read(input)
        return 0
    }
}

private func read(_ bytes: [UInt8]) {
    var limits = LayerLimits()
    limits.bytes = 1 << 22
    limits.ratioFrom = 1 << 20
    do {
        var total: Int64 = 0
        let (_, size) = try LayerBytes.open(bytes: bytes, name: "fuzz", limits: limits) { layer in
            try TarReader.read(layer, name: "fuzz") { entry, reader in
                precondition((0..<1_000_000_000).contains(entry.timeNanoseconds))
                precondition(!entry.path.string.isEmpty && entry.mode <= 0o7777)
                var end: Int64 = 0
                try reader.data { piece, offset in
                    precondition(offset >= end, "data goes backwards")
                    end = offset + Int64(piece.count)
                    total += Int64(piece.count)
                }
                if case .file(let size) = entry.kind { precondition(end <= size) } else { precondition(end == 0) }
            }
        }
        precondition(total <= size && size <= limits.bytes)
    } catch let error as TarError {
        precondition(!error.message.isEmpty && !error.hint.isEmpty, "\(error)")
        precondition(error.code == .invalidArchive || error.code == .limitExceeded, "\(error)")
    } catch {
        preconditionFailure("\(error)")
    }
}
