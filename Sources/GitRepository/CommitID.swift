import CLibgit2

/// The id of a commit: 40 lowercase hexadecimal digits (SHA-1).
public struct CommitID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The 40 digits.
    public let hex: String

    /// Accepts exactly 40 hexadecimal digits, in either case.
    public init(parsing text: String) throws(GitError) {
        guard text.utf8.count == 40, text.utf8.allSatisfy(\.isHexDigit) else {
            throw GitError(.invalid, "'\(text.prefix(80))' is not a commit id", hint: "a commit id has 40 hexadecimal digits")
        }
        hex = text.lowercased()
    }

    init(_ oid: git_oid) { hex = oid.hex }

    /// The id in libgit2's binary form.
    var oid: git_oid {
        var oid = git_oid()
        // Cannot fail: `hex` was validated by every initialiser, and a wrong id would only not be found.
        _ = git_oid_fromstr(&oid, hex)
        return oid
    }

    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }

    public static func < (a: CommitID, b: CommitID) -> Bool { a.hex < b.hex }

    public var description: String { hex }
}

extension git_oid {
    var hex: String {
        withUnsafeBytes(of: id) { bytes in
            let digits = Array("0123456789abcdef".utf8)
            return String(unsafeUninitializedCapacity: bytes.count * 2) { out in
                for (index, byte) in bytes.enumerated() {
                    out[index * 2] = digits[Int(byte >> 4)]
                    out[index * 2 + 1] = digits[Int(byte & 15)]
                }
                return bytes.count * 2
            }
        }
    }
}

extension UInt8 {
    var isHexDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
        default: false
        }
    }
}
