import CLibarchive
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
}
