import SystemPackage

/// The headers that stand before an entry and say more about it.
struct TarExtensions {
    private(set) var pax = PaxRecords()
    private(set) var longName: [UInt8]?
    private(set) var longLink: [UInt8]?
    private(set) var arePresent = false

    /// Most bytes of one such header. Writers stay far below.
    private static let limit: Int64 = 1 << 20

    /// Reads the header's data when it is such a header; false when it is an entry.
    mutating func take(_ header: TarHeader, _ input: TarInput) throws -> Bool {
        switch header.type {
        case UInt8(ascii: "x"):
            let bytes = try Self.data(header, input)
            try pax.add(bytes, isGlobal: false)
        case UInt8(ascii: "g"):
            var ignored = PaxRecords()
            try ignored.add(try Self.data(header, input), isGlobal: true)
            return true
        case UInt8(ascii: "L"): longName = try Self.name(header, input)
        case UInt8(ascii: "K"): longLink = try Self.name(header, input)
        default: return false
        }
        arePresent = true
        return true
    }

    private static func data(_ header: TarHeader, _ input: TarInput) throws -> [UInt8] {
        guard header.size <= limit else { throw DamagedArchive("an extended header has more than \(limit) bytes") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(header.size))
        try input.read(header.size) { bytes.append(contentsOf: $0) }
        try input.skip(TarContent.padding(of: header.size))
        return bytes
    }

    private static func name(_ header: TarHeader, _ input: TarInput) throws -> [UInt8] {
        let name = TarHeader.text(try data(header, input)[...])
        guard !name.isEmpty else { throw DamagedArchive("a long name is empty") }
        return name
    }
}

/// An entry put together from its headers, and where its data lies.
struct TarContent {
    let segments: [SparseMap.Segment]
    let padding: Int64
    private let header: TarHeader
    private let extensions: TarExtensions
    private let name: [UInt8]
    private let size: Int64

    init(_ header: TarHeader, _ extensions: TarExtensions, _ input: TarInput) throws {
        self.header = header
        self.extensions = extensions
        let pax = extensions.pax
        guard extensions.longName == nil || (pax.path == nil && pax.sparse.name == nil), extensions.longLink == nil || pax.link == nil else {
            throw DamagedArchive("'\(TarHeader.shown(header.name))' has two names")
        }
        name = pax.sparse.name ?? pax.path ?? extensions.longName ?? header.name
        guard !name.isEmpty else { throw DamagedArchive("an entry has no name") }
        let stored = pax.size ?? header.size
        guard stored <= Int64.max - 511 else { throw DamagedArchive("'\(TarHeader.shown(name))' is impossibly large") }
        switch header.type {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
            // Before there was a kind for folders, a slash at the end made one.
            let isOldFolder = header.type == 0 && name.last == 0x2f
            guard isOldFolder || name.last != 0x2f else {
                throw DamagedArchive("'\(TarHeader.shown(name))' is a file with the name of a folder")
            }
            if isOldFolder {
                (segments, padding, size) = ([], 0, 0)
            } else if let map = try pax.sparse.map(stored: stored, input) {
                (segments, padding, size) = (map.segments, Self.padding(of: stored), map.size)
            } else {
                segments = stored > 0 ? [SparseMap.Segment(offset: 0, length: stored)] : []
                (padding, size) = (Self.padding(of: stored), stored)
            }
        case UInt8(ascii: "S"):
            let map = try Self.oldSparseMap(stored: stored, input)
            (segments, padding, size) = (map.segments, Self.padding(of: stored), map.size)
        case UInt8(ascii: "5"):
            // A folder's size is a hint about how much it may hold.
            (segments, padding, size) = ([], 0, 0)
        case UInt8(ascii: "1"), UInt8(ascii: "2"), UInt8(ascii: "3"), UInt8(ascii: "4"), UInt8(ascii: "6"):
            guard stored == 0 else { throw DamagedArchive("'\(TarHeader.shown(name))' is no file but has data") }
            (segments, padding, size) = ([], 0, 0)
        default:
            let type = Character(Unicode.Scalar(header.type))
            throw DamagedArchive("'\(TarHeader.shown(name))' is of the unknown kind \(String(type).debugDescription)")
        }
    }

    static func padding(of size: Int64) -> Int64 { (512 - size % 512) % 512 }

    func entry() throws -> TarReader.Entry {
        let pax = extensions.pax
        let shown = TarHeader.shown(name)
        func link() throws -> FilePath {
            let target = pax.link ?? extensions.longLink ?? header.link
            guard !target.isEmpty else { throw DamagedArchive("the link '\(shown)' leads nowhere") }
            return FilePath(bytes: target)
        }
        let kind: TarReader.Entry.Kind
        switch header.type {
        case UInt8(ascii: "5"): kind = .directory
        case 0 where name.last == 0x2f: kind = .directory
        case UInt8(ascii: "1"): kind = .hardlink(try link())
        case UInt8(ascii: "2"): kind = .symlink(try link())
        case UInt8(ascii: "3"):
            let device = try header.device()
            kind = .characterDevice(major: device.major, minor: device.minor)
        case UInt8(ascii: "4"):
            let device = try header.device()
            kind = .blockDevice(major: device.major, minor: device.minor)
        case UInt8(ascii: "6"): kind = .fifo
        default: kind = .file(size: size)
        }
        // The largest number means "leave as it is" to chown(2).
        guard let uid = UInt32(exactly: pax.uid ?? header.uid), let gid = UInt32(exactly: pax.gid ?? header.gid),
            uid != .max, gid != .max
        else { throw DamagedArchive("'\(shown)' has an impossible owner") }
        let time = pax.time ?? (header.time, 0)
        return TarReader.Entry(
            path: FilePath(bytes: name), kind: kind, mode: header.mode, uid: uid, gid: gid, time: time.seconds,
            timeNanoseconds: time.nanoseconds, xattrs: pax.xattrs)
    }

    /// GNU's first sparse format: four pairs in the header, 21 in each block that follows it.
    private static func oldSparseMap(stored: Int64, _ input: TarInput) throws -> SparseMap {
        var pairs: [(offset: Int64, length: Int64)] = []
        func add(_ block: [UInt8], from start: Int, count: Int) throws {
            for index in 0..<count {
                let offset = start + 24 * index
                guard block[offset] != 0 else { return }
                pairs.append(
                    (
                        try TarHeader.number(block[offset..<offset + 12], "sparse"),
                        try TarHeader.number(block[(offset + 12)..<(offset + 24)], "sparse")
                    ))
            }
        }
        let header = input.block
        try add(header, from: 386, count: 4)
        let size = try TarHeader.number(header[483..<495], "size")
        var more = header[482] != 0
        while more {
            guard pairs.count <= SparseMap.mostSegments, try input.readBlock() else {
                throw DamagedArchive("the map of a sparse file is cut short")
            }
            try add(input.block, from: 0, count: 21)
            more = input.block[504] != 0
        }
        return try SparseMap(pairs, size: size, stored: stored)
    }
}

extension FilePath {
    /// The bytes as they are, up to the first NUL.
    init(bytes: [UInt8]) {
        self = (bytes + [0]).withUnsafeBytes { raw in
            raw.withMemoryRebound(to: CInterop.PlatformChar.self) { chars in
                chars.baseAddress.map { FilePath(platformString: $0) } ?? FilePath()
            }
        }
    }
}
