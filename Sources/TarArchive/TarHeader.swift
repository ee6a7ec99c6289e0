/// One 512-byte header as it stands (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar
/// Format"), its checksum verified.
struct TarHeader {
    enum Format { case old, ustar, gnu }

    let format: Format
    let type: UInt8
    /// With the prefix in front.
    let name: [UInt8]
    let link: [UInt8]
    let mode: UInt16
    let uid: Int64
    let gid: Int64
    let size: Int64
    let time: Int64
    /// Raw fields, looked at only for device nodes: some writers leave rubbish there.
    private let deviceFields: [UInt8]

    init(_ block: [UInt8]) throws {
        guard block.count == TarInput.blockSize, try Self.checksumIsRight(block) else {
            throw DamagedArchive("a header has a wrong checksum")
        }
        let magic = block[257..<265]
        if magic.elementsEqual(Array("ustar".utf8) + [0, 0x30, 0x30]) {
            format = .ustar
        } else if magic.elementsEqual(Array("ustar  ".utf8) + [0]) {
            format = .gnu
        } else {
            format = .old
        }
        type = block[156]
        let plain = Self.text(block[0..<100])
        var prefix: [UInt8] = []
        if format == .ustar {
            // star keeps times behind a shorter prefix, and says so at the end of the block.
            let isStar = block[508..<512].elementsEqual(Array("tar".utf8) + [0])
            prefix = Self.text(block[345..<(isStar ? 476 : 500)])
        }
        name = prefix.isEmpty ? plain : prefix + [0x2f] + plain
        link = Self.text(block[157..<257])
        mode = UInt16(truncatingIfNeeded: try Self.number(block[100..<108], "mode") & 0o7777)
        uid = try Self.number(block[108..<116], "owner")
        gid = try Self.number(block[116..<124], "group")
        size = try Self.number(block[124..<136], "size")
        time = try Self.number(block[136..<148], "time")
        deviceFields = Array(block[329..<345])
        guard size >= 0 else { throw DamagedArchive("'\(Self.shown(name))' has a negative size") }
    }

    /// Major and minor number of a device node.
    func device() throws -> (major: UInt32, minor: UInt32) {
        guard let major = UInt32(exactly: try Self.number(deviceFields[0..<8], "device")),
            let minor = UInt32(exactly: try Self.number(deviceFields[8..<16], "device"))
        else { throw DamagedArchive("'\(Self.shown(name))' has an impossible device number") }
        return (major, minor)
    }

    /// Up to the first NUL.
    static func text(_ field: ArraySlice<UInt8>) -> [UInt8] { Array(field.prefix { $0 != 0 }) }

    /// For messages: at most 200 bytes, whatever they are.
    static func shown(_ name: [UInt8]) -> String { String(decoding: name.prefix(200), as: UTF8.self) }

    /// Octal digits with blanks or NULs around them, or a big-endian two's complement number whose first bit is set
    /// (GNU's base-256).
    static func number(_ field: ArraySlice<UInt8>, _ what: String) throws -> Int64 {
        guard let first = field.first else { return 0 }
        if first & 0x80 != 0 {
            let isNegative = first & 0x40 != 0
            var value: UInt64 = 0
            for (offset, byte) in field.enumerated() {
                let bits = (isNegative ? ~byte : byte) & (offset == 0 ? 0x7f : 0xff)
                guard value >> 56 == 0 else { throw DamagedArchive("a \(what) field does not fit 64 bits") }
                value = value << 8 | UInt64(bits)
            }
            guard let result = Int64(exactly: value) else { throw DamagedArchive("a \(what) field does not fit 64 bits") }
            return isNegative ? ~result : result
        }
        var digits = field.drop { $0 == 0x20 || $0 == 0 }
        while let last = digits.last, last == 0x20 || last == 0 { digits.removeLast() }
        var value: Int64 = 0
        for digit in digits {
            // The widest field has twelve characters: no overflow.
            guard digit >= 0x30, digit <= 0x37 else { throw DamagedArchive("a \(what) field is not an octal number") }
            value = value << 3 | Int64(digit - 0x30)
        }
        return value
    }

    /// The sum of all bytes with the checksum field as blanks; old writers summed signed bytes.
    private static func checksumIsRight(_ block: [UInt8]) throws -> Bool {
        var unsigned: Int64 = 0
        var signed: Int64 = 0
        for (offset, byte) in block.enumerated() {
            let value = (148..<156).contains(offset) ? 0x20 : byte
            unsigned += Int64(value)
            signed += Int64(Int8(bitPattern: value))
        }
        let stored = try number(block[148..<156], "checksum")
        return stored == unsigned || stored == signed
    }
}
