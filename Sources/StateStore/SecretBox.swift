import Crypto
import FoundationEssentials
import OCIModel

/// Seals secrets before they reach a store: AES-256-GCM (NIST SP 800-38D) under the key of the data directory.
public struct SecretBox: Sendable {
    private let key: SymmetricKey

    /// - Parameter key: 32 bytes.
    public init(key: [UInt8]) throws(StateError) {
        guard key.count == 32 else {
            throw StateError(
                .damagedSecret, "the secrets key has \(key.count) bytes instead of 32",
                hint: "restore secrets.key of the data directory from a backup")
        }
        self.key = SymmetricKey(data: key)
    }

    /// A new random key of 32 bytes.
    public static func newKey() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) } }

    /// 256 random bits in hexadecimal: what nobody guesses.
    public static func newToken() -> String { newKey().hexadecimal }

    /// A key of 32 bytes for another purpose, the same for the same box: HKDF-SHA-256 (RFC 5869).
    public func derivedKey(for purpose: String) -> [UInt8] {
        HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Array(purpose.utf8), outputByteCount: 32)
            .withUnsafeBytes { Array($0) }
    }

    /// `context` binds the sealed value to its place, so that it cannot be moved to another project or name.
    public func seal(_ secret: String, context: String) throws -> [UInt8] {
        let box = try AES.GCM.seal(Array(secret.utf8), using: key, authenticating: Array(context.utf8))
        guard let combined = box.combined else {
            throw StateError(.damagedSecret, "a secret could not be sealed", hint: "this is a defect; please report it")
        }
        return Array(combined)
    }

    public func open(_ sealed: [UInt8], context: String) throws -> String {
        do {
            let plain = try AES.GCM.open(
                AES.GCM.SealedBox(combined: sealed), using: key, authenticating: Array(context.utf8))
            return String(decoding: plain, as: UTF8.self)
        } catch {
            throw StateError(
                .damagedSecret, "the secret \(context) cannot be opened with this data directory's key",
                hint: "restore secrets.key from the backup that belongs to the database, or set the secret again")
        }
    }
}
