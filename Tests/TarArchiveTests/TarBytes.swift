/// Archives byte by byte: what no well-behaved writer would make.
struct TarBytes {
    enum Format { case ustar, gnu, old }

    private(set) var bytes: [UInt8] = []
    var format = Format.ustar

    /// An entry with its data. `name` and `link` are cut at 100 bytes, as the header has no more.
    mutating func add(
        _ name: [UInt8], type: Character = "0", data: [UInt8] = [], link: [UInt8] = [], mode: Int = 0o644, uid: Int = 0,
        gid: Int = 0, time: Int = 0, size: Int? = nil, device: (Int, Int) = (0, 0), change: (inout [UInt8]) -> Void = { _ in }
    ) {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: some Sequence<UInt8>, _ offset: Int, _ length: Int) {
            for (index, byte) in text.prefix(length).enumerated() { block[offset + index] = byte }
        }
        func number(_ value: Int, _ offset: Int, _ length: Int) {
            guard value >= 0, String(value, radix: 8).utf8.count < length else {
                // Base-256, two's complement.
                for index in 0..<length {
                    let shift = 8 * (length - 1 - index)
                    block[offset + index] = shift > 56 ? (value < 0 ? 0xff : 0) : UInt8(truncatingIfNeeded: value >> shift)
                }
                block[offset] |= 0x80
                return
            }
            let digits = String(value, radix: 8)
            put((String(repeating: "0", count: length - 1 - digits.utf8.count) + digits).utf8, offset, length)
        }
        put(name, 0, 100)
        number(mode, 100, 8)
        number(uid, 108, 8)
        number(gid, 116, 8)
        number(size ?? data.count, 124, 12)
        number(time, 136, 12)
        block[156] = type == "\0" ? 0 : type.asciiValue ?? 0
        put(link, 157, 100)
        switch format {
        case .ustar: put(Array("ustar".utf8) + [0] + Array("00".utf8), 257, 8)
        case .gnu: put(Array("ustar  ".utf8) + [0], 257, 8)
        case .old: break
        }
        if type == "3" || type == "4" {
            number(device.0, 329, 8)
            number(device.1, 337, 8)
        }
        change(&block)
        seal(&block)
        append(block)
        append(data)
    }

    mutating func add(
        _ name: String, type: Character = "0", data: String = "", link: String = "", mode: Int = 0o644, uid: Int = 0,
        gid: Int = 0, time: Int = 0, size: Int? = nil, device: (Int, Int) = (0, 0)
    ) {
        add(
            Array(name.utf8), type: type, data: Array(data.utf8), link: Array(link.utf8), mode: mode, uid: uid, gid: gid,
            time: time, size: size, device: device)
    }

    mutating func folder(_ name: String, mode: Int = 0o755, uid: Int = 0, gid: Int = 0, time: Int = 0) {
        add(name, type: "5", mode: mode, uid: uid, gid: gid, time: time)
    }

    mutating func link(_ name: String, to target: String) { add(name, type: "2", link: target, mode: 0o777) }
    mutating func hardlink(_ name: String, to target: String) { add(name, type: "1", link: target) }

    /// An extended header for the next entry (`x`) or for all (`g`).
    mutating func pax(_ records: [(String, [UInt8])], type: Character = "x") {
        var data: [UInt8] = []
        for (key, value) in records {
            let rest = [0x20] + Array(key.utf8) + [0x3d] + value + [0x0a]
            var length = rest.count + 1
            while String(length).utf8.count + rest.count != length { length += 1 }
            data += Array(String(length).utf8) + rest
        }
        add(Array("PaxHeaders/x".utf8), type: type, data: data)
    }

    mutating func pax(_ records: KeyValuePairs<String, String>) { pax(records.map { ($0, Array($1.utf8)) }) }

    /// GNU's long name (`L`) or long link target (`K`) for the next entry.
    mutating func long(_ name: [UInt8], type: Character) {
        add(Array("././@LongLink".utf8), type: type, data: name + [0])
    }

    /// Bytes, filled up to a whole block.
    mutating func append(_ data: [UInt8]) {
        bytes += data
        bytes += [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
    }

    /// Bytes as they are.
    mutating func appendRaw(_ data: [UInt8]) { bytes += data }

    /// With the end marker.
    var ended: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    private func seal(_ block: inout [UInt8]) {
        for index in 148..<156 { block[index] = 0x20 }
        let sum = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
        let text = String(repeating: "0", count: 6 - sum.utf8.count) + sum
        for (index, byte) in text.utf8.enumerated() { block[148 + index] = byte }
        block[154] = 0
    }
}
