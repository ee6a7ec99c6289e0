import CLibarchive
import Glibc
public import SystemPackage

/// Extended attributes of files to be archived, and of those an image brings.
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

    /// True for what an image may set: user attributes, capabilities and access control lists. Not the marks of
    /// overlayfs, which would open lower layers, nor labels and signatures, which are this machine's to give.
    static func isKept(_ name: String) -> Bool {
        switch name {
        case "security.capability", "system.posix_acl_access", "system.posix_acl_default": true
        default: name.hasPrefix("user.") && !name.hasPrefix("user.overlay.")
        }
    }

    /// All attributes of an open file that an image may set.
    static func kept(of descriptor: Int32) -> [(name: String, value: [UInt8])] {
        let size = flistxattr(descriptor, nil, 0)
        guard size > 0 else { return [] }
        var names = [CChar](repeating: 0, count: size)
        let count = flistxattr(descriptor, &names, size)
        guard count > 0 else { return [] }
        return names[..<count].split(separator: 0).compactMap { raw in
            let name = String(decoding: raw.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard isKept(name) else { return nil }
            let size = fgetxattr(descriptor, name, nil, 0)
            guard size >= 0, size <= 1 << 16 else { return nil }
            var value = [UInt8](repeating: 0, count: size)
            return fgetxattr(descriptor, name, &value, size) == size ? (name, value) : nil
        }
    }

    /// The same of a file by name; of a link itself, not of its target. Blocking.
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
            for raw in list[..<count].split(separator: 0) {
                let name = String(decoding: raw.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                guard isKept(name) else { continue }
                let size = lgetxattr(file, name, nil, 0)
                guard size >= 0, size <= 1 << 16 else { continue }
                var value = [UInt8](repeating: 0, count: size)
                if lgetxattr(file, name, &value, size) == size { kept[name] = value }
            }
            return kept
        }
    }
}

/// Overlayfs' marks on a folder and in it (kernel, overlayfs.rst, "whiteouts and opaque directories").
enum OverlayMark {
    static func isOpaque(_ folder: Int32) -> Bool {
        var value: UInt8 = 0
        return fgetxattr(folder, "trusted.overlay.opaque", &value, 1) == 1 && value == UInt8(ascii: "y")
    }

    /// Nothing of lower layers shines through the folder.
    static func makeOpaque(_ folder: Int32) throws {
        guard fsetxattr(folder, "trusted.overlay.opaque", "y", 1, 0) == 0 else {
            throw systemFailure("make opaque", "a folder of the layer")
        }
    }
}
