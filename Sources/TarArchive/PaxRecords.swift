/// What extended headers say about the next entry (POSIX.1-2017, pax, "pax Extended Header"). Of equal keys the last
/// one counts; keys that do not change what an entry is are left out.
struct PaxRecords {
    var path: [UInt8]?
    var link: [UInt8]?
    var size: Int64?
    var uid: Int64?
    var gid: Int64?
    var time: (seconds: Int64, nanoseconds: Int)?
    var xattrs: [(name: String, value: [UInt8])] = []
    var sparse = SparseRecords()

    /// Records of one header. `isGlobal`: they would speak about all entries that follow, which readers do not agree on,
    /// so only harmless ones are taken.
    mutating func add(_ bytes: [UInt8], isGlobal: Bool) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let (key, value) = try Self.record(&rest)
            guard let key = String(validating: key, as: UTF8.self) else { throw DamagedArchive("a pax key is not UTF-8") }
            if isGlobal {
                guard Self.harmless.contains(key) else {
                    throw DamagedArchive("a global pax header sets \(key.debugDescription), which tools read differently")
                }
            } else {
                try set(key, Array(value))
            }
        }
    }

    private static let harmless: Set<String> = ["comment", "charset", "hdrcharset", "atime", "ctime", "uname", "gname"]

    /// `<length> <key>=<value>\n`, the length counting itself.
    private static func record(_ rest: inout ArraySlice<UInt8>) throws -> (key: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
        let digits = rest.prefix(10).prefix { $0 >= 0x30 && $0 <= 0x39 }
        var length = 0
        for digit in digits { length = length * 10 + Int(digit - 0x30) }
        let header = digits.count + 1
        guard !digits.isEmpty, length > header + 1, length <= rest.count, rest[rest.startIndex + digits.count] == 0x20,
            rest[rest.startIndex + length - 1] == 0x0a
        else { throw DamagedArchive("a pax header is malformed") }
        let text = rest[(rest.startIndex + header)..<(rest.startIndex + length - 1)]
        rest = rest[(rest.startIndex + length)...]
        guard let equals = text.firstIndex(of: 0x3d), equals > text.startIndex else { throw DamagedArchive("a pax header is malformed") }
        return (text[..<equals], text[(equals + 1)...])
    }

    private mutating func set(_ key: String, _ value: [UInt8]) throws {
        switch key {
        case "path": path = try Self.name(value, key)
        case "linkpath": link = try Self.name(value, key)
        case "size": size = try value.isEmpty ? nil : Self.number(value, key)
        case "uid": uid = try value.isEmpty ? nil : Self.number(value, key)
        case "gid": gid = try value.isEmpty ? nil : Self.number(value, key)
        case "mtime": time = try value.isEmpty ? nil : Self.time(value)
        default:
            if key.hasPrefix("GNU.sparse.") {
                try sparse.set(String(key.dropFirst("GNU.sparse.".count)), value)
            } else if key.hasPrefix("SCHILY.xattr.") {
                let name = String(key.dropFirst("SCHILY.xattr.".count))
                guard !name.isEmpty, name.utf8.count <= 255, !name.utf8.contains(0) else {
                    throw DamagedArchive("a pax header names an impossible extended attribute")
                }
                xattrs.removeAll { $0.name == name }
                guard xattrs.count < 1000 else { throw DamagedArchive("a pax header sets more than 1000 extended attributes") }
                xattrs.append((name, value))
            }
        }
    }

    private static func name(_ value: [UInt8], _ key: String) throws -> [UInt8]? {
        guard !value.contains(0) else { throw DamagedArchive("the pax \(key) holds a NUL") }
        return value.isEmpty ? nil : value
    }

    static func number(_ value: some Collection<UInt8>, _ key: String) throws -> Int64 {
        guard !value.isEmpty, value.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let number = Int64(String(decoding: value, as: UTF8.self))
        else { throw DamagedArchive("the pax \(key) is not a number that fits 63 bits") }
        return number
    }

    /// Decimal seconds since 1970, with a fraction, perhaps negative. The fraction counts upwards from the whole second
    /// below, as the kernel wants it: -1.25 is -2 s and 750,000,000 ns.
    static func time(_ value: [UInt8]) throws -> (seconds: Int64, nanoseconds: Int) {
        let isNegative = value.first == 0x2d
        let parts = value.dropFirst(isNegative ? 1 : 0).split(separator: 0x2e, maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first else { throw DamagedArchive("the pax mtime is empty") }
        let seconds = try number(whole, "mtime")
        var nanoseconds = 0
        if parts.count == 2 {
            guard parts[1].allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { throw DamagedArchive("the pax mtime is not a number") }
            let digits = parts[1].prefix(9)
            for digit in digits { nanoseconds = nanoseconds * 10 + Int(digit - 0x30) }
            for _ in digits.count..<9 { nanoseconds *= 10 }
        }
        guard isNegative else { return (seconds, nanoseconds) }
        return nanoseconds == 0 ? (-seconds, 0) : (-seconds - 1, 1_000_000_000 - nanoseconds)
    }
}
