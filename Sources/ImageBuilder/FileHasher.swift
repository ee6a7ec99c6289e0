import Crypto
import FoundationEssentials
import OCIModel
import TarArchive

/// Hashes the contents of files for one store: fast, and only for whoever has its key.
///
/// Each piece of a file gets a GMAC (NIST SP 800-38D) under a key that never leaves the store; their sequence is hashed with
/// SHA-256. Without the key nobody can make two files that collide, and no tag is ever shown to anyone. It is many times as fast
/// as SHA-256, which every layer has to go through twice already. Pieces are 256 KiB, the last one shorter: other pieces
/// give another hash, which costs a cache hit and nothing else.
struct FileHasher {
    static let pieceSize = 1 << 18

    struct Key: Sendable {
        fileprivate let key: SymmetricKey
        fileprivate let nonce: AES.GCM.Nonce

        /// Of the store's 32 secret bytes.
        init(_ secret: [UInt8]) throws {
            key = SymmetricKey(data: SHA256.hash(data: secret + Array("content of files".utf8)))
            nonce = try AES.GCM.Nonce(data: [UInt8](repeating: 0, count: 12))
        }
    }

    private let key: Key
    private var tags = OCIModel.Digest.Hasher()

    init(_ key: Key) { self.key = key }

    mutating func update(_ piece: UnsafeRawBufferPointer) throws {
        let tag = try AES.GCM.seal([UInt8](), using: key.key, nonce: key.nonce, authenticating: piece).tag
        tag.withUnsafeBytes { tags.update($0) }
    }

    func finalize() -> ContentHash { ContentHash(tags.finalize()) }
}

/// Hashes the files that go into an archive, each by itself.
final class ContentHashes: TarObserver {
    /// By the entry's position in the archive.
    private(set) var found: [ContentHash] = []
    private let key: FileHasher.Key
    private var hasher: FileHasher

    init(_ key: FileHasher.Key) {
        self.key = key
        hasher = FileHasher(key)
    }

    func begin(_ entry: TarEntry, index: Int) {
        hasher = FileHasher(key)
    }

    func content(_ bytes: UnsafeRawBufferPointer) throws { try hasher.update(bytes) }

    func end() { found.append(hasher.finalize()) }
}
