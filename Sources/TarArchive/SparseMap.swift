/// Where the data of a file with holes belongs.
struct SparseMap {
    struct Segment: Equatable {
        let offset: Int64
        let length: Int64
    }

    /// Ascending, without overlaps.
    let segments: [Segment]
    /// The size of the file with its holes.
    let size: Int64

    static let mostSegments = 1 << 20

    /// Checks that the segments lie in order inside the file and need exactly `stored` bytes.
    init(_ pairs: [(offset: Int64, length: Int64)], size: Int64, stored: Int64) throws {
        guard pairs.count <= Self.mostSegments else { throw DamagedArchive("a sparse file has too many parts") }
        var end: Int64 = 0
        var total: Int64 = 0
        var segments: [Segment] = []
        for (offset, length) in pairs {
            guard offset >= end, length >= 0, offset <= size, length <= size - offset else {
                throw DamagedArchive("the map of a sparse file contradicts itself")
            }
            end = offset + length
            total += length
            if length > 0 { segments.append(Segment(offset: offset, length: length)) }
        }
        guard size >= 0, total == stored else { throw DamagedArchive("the map of a sparse file does not fit its data") }
        self.segments = segments
        self.size = size
    }
}

/// The `GNU.sparse.` records of a pax header: formats 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files").
struct SparseRecords {
    private(set) var name: [UInt8]?
    private var major: Int64?
    private var minor: Int64?
    private var size: Int64?
    private var pairs: [(offset: Int64, length: Int64)] = []
    private var offset: Int64?
    private var isPresent = false

    mutating func set(_ key: String, _ value: [UInt8]) throws {
        isPresent = true
        func number() throws -> Int64 { try PaxRecords.number(value, "GNU.sparse.\(key)") }
        switch key {
        case "major": major = try number()
        case "minor": minor = try number()
        case "size", "realsize": size = try number()
        case "name":
            guard !value.contains(0), !value.isEmpty else { throw DamagedArchive("the name of a sparse file is malformed") }
            name = value
        case "numblocks": _ = try number()
        case "offset":
            guard offset == nil else { throw DamagedArchive("the map of a sparse file is malformed") }
            offset = try number()
        case "numbytes":
            guard let start = offset, pairs.count < SparseMap.mostSegments else {
                throw DamagedArchive("the map of a sparse file is malformed")
            }
            pairs.append((start, try number()))
            offset = nil
        case "map":
            let numbers = try value.split(separator: 0x2c, omittingEmptySubsequences: false).map { try PaxRecords.number($0, "GNU.sparse.map") }
            guard numbers.count.isMultiple(of: 2) else { throw DamagedArchive("the map of a sparse file is malformed") }
            pairs = stride(from: 0, to: numbers.count, by: 2).map { (numbers[$0], numbers[$0 + 1]) }
        default: throw DamagedArchive("a sparse file uses the unknown record GNU.sparse.\(key)")
        }
    }

    /// The map, read from the start of the data in format 1.0, and the stored bytes that are left; nil without records.
    func map(stored: Int64, _ input: TarInput) throws -> SparseMap? {
        guard isPresent else { return nil }
        guard let size, offset == nil else { throw DamagedArchive("the map of a sparse file is incomplete") }
        switch (major ?? 0, minor ?? 0) {
        case (0, 0), (0, 1): return try SparseMap(pairs, size: size, stored: stored)
        case (1, 0):
            guard pairs.isEmpty else { throw DamagedArchive("a sparse file has two maps") }
            let (pairs, used) = try Self.readMap(stored: stored, input)
            return try SparseMap(pairs, size: size, stored: stored - used)
        default: throw DamagedArchive("a sparse file is of the unknown version \(major ?? 0).\(minor ?? 0)")
        }
    }

    /// Lines of decimal numbers, the first says how many pairs follow; filled up to whole blocks.
    private static func readMap(stored: Int64, _ input: TarInput) throws -> ([(offset: Int64, length: Int64)], Int64) {
        var used: Int64 = 0
        var position = TarInput.blockSize
        func number() throws -> Int64 {
            var digits: [UInt8] = []
            while true {
                if position == TarInput.blockSize {
                    guard used < stored, try input.readBlock() else { throw DamagedArchive("the map of a sparse file is cut short") }
                    used += Int64(TarInput.blockSize)
                    position = 0
                }
                let byte = input.block[position]
                position += 1
                if byte == 0x0a { return try PaxRecords.number(digits, "sparse map") }
                digits.append(byte)
                guard digits.count <= 19 else { throw DamagedArchive("the map of a sparse file is malformed") }
            }
        }
        let count = try number()
        guard count <= Int64(SparseMap.mostSegments) else { throw DamagedArchive("a sparse file has too many parts") }
        var pairs: [(offset: Int64, length: Int64)] = []
        for _ in 0..<count { pairs.append((try number(), try number())) }
        guard used <= stored else { throw DamagedArchive("the map of a sparse file is cut short") }
        return (pairs, used)
    }
}
