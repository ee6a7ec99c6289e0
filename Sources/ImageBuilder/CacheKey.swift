import OCIModel

/// Collects what a cached result depends on. Every value goes in with its length, so that no two lists of values look alike.
struct CacheKey {
    private var hasher = Digest.Hasher()

    init(_ kind: String) { add(kind) }

    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            add(Int64(bytes.count))
            hasher.update(UnsafeRawBufferPointer(bytes))
        }
    }

    mutating func add(_ value: Int64) {
        withUnsafeBytes(of: value.littleEndian) { hasher.update($0) }
    }

    mutating func add(_ text: String?) {
        add(Int64(text == nil ? 0 : 1))
        if let text { add(text) }
    }

    mutating func add(_ list: [String]?) {
        add(Int64(list?.count ?? -1))
        for text in list ?? [] { add(text) }
    }

    mutating func add(_ values: [String: String]) {
        add(Int64(values.count))
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            add(name)
            add(value)
        }
    }

    mutating func add(_ hash: ContentHash) {
        withUnsafeBytes(of: hash) { hasher.update($0) }
    }

    func finalize() -> Digest { hasher.finalize() }
}

/// The SHA-256 of a file's bytes or a link's target, in 32 bytes of memory.
struct ContentHash: Hashable, Sendable {
    private var first: UInt64 = 0
    private var second: UInt64 = 0
    private var third: UInt64 = 0
    private var fourth: UInt64 = 0

    /// Of nothing: what folders have.
    init() {}

    init(_ digest: Digest) {
        var words: [UInt64] = [0, 0, 0, 0]
        for (index, digit) in digest.hex.utf8.enumerated() {
            let value = digit < 0x3a ? digit &- 0x30 : digit &- 0x57
            words[(index >> 4) & 3] = words[(index >> 4) & 3] << 4 | UInt64(value)
        }
        (first, second, third, fourth) = (words[0], words[1], words[2], words[3])
    }

    init(of text: String) {
        var hasher = Digest.Hasher()
        var text = text
        text.withUTF8 { hasher.update(UnsafeRawBufferPointer($0)) }
        self.init(hasher.finalize())
    }
}
