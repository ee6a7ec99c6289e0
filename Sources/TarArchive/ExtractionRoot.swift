import Glibc
import SystemPackage

/// A folder that names from an archive cannot leave. Every step opens one component below an open folder without
/// following links; symbolic links of the archive itself are followed by hand, as if the folder were `/`.
///
/// Blocking. Nobody else may change the folder meanwhile.
final class ExtractionRoot {
    let root: Int32
    private var cachedNames: [FilePath.Component] = []
    private var cached: Int32 = -1

    init(_ path: FilePath) throws {
        root = path.withPlatformString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) }
        guard root >= 0 else { throw systemFailure("open", path.string) }
    }

    deinit {
        if cached >= 0 { close(cached) }
        close(root)
    }

    /// The components of a name: absolute names are taken relative to the root, `..` is refused.
    static func components(_ path: FilePath) throws -> [FilePath.Component] {
        try path.components.filter { component in
            switch component.kind {
            case .currentDirectory: return false
            case .regular: return true
            case .parentDirectory:
                throw TarError(
                    code: .unsafeEntry, message: "the name '\(path)' leads out of the image",
                    hint: "the image was made to attack whoever unpacks it; do not use it")
            }
        }
    }

    /// Lends the folder that holds `names` (created when missing). Valid until the next call.
    func folder(_ names: [FilePath.Component], create: Bool = true) throws -> Int32 {
        if names.isEmpty { return root }
        if cached >= 0, names == cachedNames { return cached }
        var real: [FilePath.Component] = []
        var pending = Array(names.reversed())
        var links = 0
        var current = dup(root)
        defer { if current >= 0 { close(current) } }
        guard current >= 0 else { throw systemFailure("open", "the folder") }
        while let name = pending.popLast() {
            if name.kind == .currentDirectory { continue }
            if name.kind == .parentDirectory {
                if !real.isEmpty { real.removeLast() }
                try reopen(real, &current)
                continue
            }
            var next = openFolder(current, name)
            if next < 0, errno == ENOENT, create {
                try make(current, name)
                next = openFolder(current, name)
            }
            if next >= 0 {
                close(current)
                current = next
                real.append(name)
                continue
            }
            let code = errno
            guard code == ENOTDIR || code == ELOOP, let target = Self.readLink(current, name) else {
                throw systemFailure("open folder", name.string, code)
            }
            links += 1
            guard links <= 40 else {
                throw TarError(code: .unsafeEntry, message: "too many symbolic links on the way to '\(name)'", hint: "")
            }
            if target.isAbsolute {
                real = []
                try reopen(real, &current)
            }
            pending.append(contentsOf: target.components.reversed())
        }
        if cached >= 0 { close(cached) }
        cached = current
        cachedNames = names
        current = -1
        return cached
    }

    /// Must be called when a folder on a cached way may have been replaced.
    func forget() {
        if cached >= 0 { close(cached) }
        cached = -1
        cachedNames = []
    }

    private func openFolder(_ folder: Int32, _ name: FilePath.Component) -> Int32 {
        name.withPlatformString { openat(folder, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
    }

    private func make(_ folder: Int32, _ name: FilePath.Component) throws {
        try name.withPlatformString {
            guard mkdirat(folder, $0, 0o755) == 0, fchmodat(folder, $0, 0o755, 0) == 0 else {
                throw systemFailure("create folder", name.string)
            }
        }
    }

    /// Walks down from the root again; the components are known to be real folders.
    private func reopen(_ names: [FilePath.Component], _ current: inout Int32) throws {
        close(current)
        current = dup(root)
        for name in names {
            let next = openFolder(current, name)
            guard next >= 0 else { throw systemFailure("open folder", name.string) }
            close(current)
            current = next
        }
    }

    static func readLink(_ folder: Int32, _ name: FilePath.Component) -> FilePath? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX) + 1) { buffer in
            guard let base = buffer.baseAddress else { return nil }
            let count = name.withPlatformString { readlinkat(folder, $0, base, Int(PATH_MAX)) }
            guard count > 0 else { return nil }
            buffer[count] = 0
            return FilePath(platformString: base)
        }
    }

    /// Removes a name, whatever it is, with everything below.
    static func remove(_ folder: Int32, _ name: FilePath.Component) throws {
        let code: Int32 = name.withPlatformString { unlinkat(folder, $0, 0) == 0 ? 0 : errno }
        if code == 0 || code == ENOENT { return }
        guard code == EISDIR || code == EPERM else { throw systemFailure("remove", name.string, code) }
        let inner = name.withPlatformString { openat(folder, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
        guard inner >= 0 else { throw systemFailure("remove", name.string) }
        guard let listing = fdopendir(inner) else {
            close(inner)
            throw systemFailure("remove", name.string)
        }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let child = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { FilePath.Component(platformString: $0) }
            }
            if let child, child.kind == .regular { try remove(inner, child) }
        }
        guard name.withPlatformString({ unlinkat(folder, $0, AT_REMOVEDIR) }) == 0 else {
            throw systemFailure("remove", name.string)
        }
    }
}
