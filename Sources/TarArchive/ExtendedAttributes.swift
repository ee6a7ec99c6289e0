import CLibarchive
import Glibc
public import SystemPackage

/// Extended attributes of files to be archived.
public enum ExtendedAttributes {
    /// The attribute's value; nil when the file (a link itself, not its target) has none. At most 64 KiB. Blocking.
    public static func read(_ name: String, of path: FilePath) -> [UInt8]? {
        path.withPlatformString { path in
            let size = lgetxattr(path, name, nil, 0)
            guard size > 0, size <= 1 << 16 else { return nil }
            var value = [UInt8](repeating: 0, count: size)
            let count = lgetxattr(path, name, &value, value.count)
            return count == size ? value : nil
        }
    }

    /// The attributes an image keeps: `user.*` and file capabilities. What a file system, overlayfs or SELinux notes for
    /// itself belongs to this machine. Blocking.
    public static func kept(of path: FilePath) throws -> [String: [UInt8]] {
        try path.withPlatformString { file in
            let size = llistxattr(file, nil, 0)
            if size < 0, errno == ENOTSUP || errno == ENOENT { return [:] }
            guard size >= 0 else { throw systemFailure("list attributes of", path.string) }
            guard size > 0 else { return [:] }
            var list = [CChar](repeating: 0, count: size)
            let count = llistxattr(file, &list, list.count)
            guard count >= 0 else { throw systemFailure("list attributes of", path.string) }
            var kept: [String: [UInt8]] = [:]
            for bytes in list[..<count].split(separator: 0) {
                let name = String(decoding: bytes.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                let isWanted = name == "security.capability" || name.hasPrefix("user.") && !name.hasPrefix("user.overlay.")
                if isWanted, let value = read(name, of: path) { kept[name] = value }
            }
            return kept
        }
    }
}
