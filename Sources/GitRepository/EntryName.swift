import Glibc

/// The name of a tree entry, as bytes: git knows no encoding.
struct EntryName: Hashable {
    let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Copies a C string.
    init(_ pointer: UnsafePointer<CChar>) {
        bytes = Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer)))
    }

    /// For messages.
    var shown: String { String(decoding: bytes, as: UTF8.self) }

    /// Why the name must not reach a workspace; nil when it may.
    ///
    /// Besides the plain names this refuses what Windows (NTFS) and macOS (HFS+) read as `.git`, as git's `core.protectNTFS` and
    /// `core.protectHFS` do: a workspace may be copied to such a machine, and a repository that contains these has no good reason to.
    var objection: String? {
        if bytes.isEmpty { return "an empty name" }
        if bytes == Array("..".utf8) || bytes == Array(".".utf8) { return "the name '\(shown)'" }
        if bytes.contains(UInt8(ascii: "/")) { return "a slash in a name" }
        if bytes.split(separator: UInt8(ascii: "\\"), omittingEmptySubsequences: false).contains(where: EntryName.meansDotGit) {
            return "a name that means '.git'"
        }
        return nil
    }

    private static func meansDotGit(_ part: ArraySlice<UInt8>) -> Bool {
        // NTFS: an alternate stream follows a colon; dots and spaces at the end are dropped.
        var ntfs = part.prefix { $0 != UInt8(ascii: ":") }
        while let last = ntfs.last, last == UInt8(ascii: ".") || last == UInt8(ascii: " ") { ntfs.removeLast() }
        let short = lowercased(ntfs)
        if short == Array(".git".utf8) || short == Array("git~1".utf8) { return true }
        // HFS+ ignores these characters when it compares names.
        let visible = String(decoding: part, as: UTF8.self).unicodeScalars.filter { !ignoredByHFS.contains($0.value) }
        return lowercased(Array(String(String.UnicodeScalarView(visible)).utf8)[...]) == Array(".git".utf8)
    }

    private static func lowercased(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        bytes.map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 + 32 : $0 }
    }

    private static let ignoredByHFS: Set<UInt32> = Set([0xfeff] + Array(0x200c...0x200f) + Array(0x202a...0x202e) + Array(0x206a...0x206f))
}
