import CLibarchive
import Glibc
import SystemPackage

/// A folder that names from an archive cannot leave. Ways without links are opened by the kernel in one step
/// (openat2 with RESOLVE_IN_ROOT); links, and everything on kernels without openat2, one component at a time below
/// an open folder, following links by hand as if the folder were `/`. What only lower layers have is seen through.
///
/// Blocking. Nobody else may change the folder meanwhile.
final class ExtractionRoot {
    let root: Int32
    let lower: LowerLayers?
    private let asRoot: Bool
    private let opener: FolderOpener
    private var kernelOpens = true
    /// True once anything but the layer's own entries was asked for.
    private(set) var askedLower = false
    /// Hears about folders that were made on the way to an entry: the real path, the folder and its time.
    var created: (([FilePath.Component], Int32, timespec) throws -> Void)?

    private var cachedNames: [FilePath.Component] = []
    private var cached: Int32 = -1
    /// Where the folder lent last really is.
    private(set) var real: [FilePath.Component] = []

    init(_ path: FilePath, lower: LowerLayers?, opener: FolderOpener, asRoot: Bool) throws {
        root = path.withPlatformString { Glibc.open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) }
        self.lower = lower
        self.opener = opener
        self.asRoot = asRoot
        guard root >= 0 else { throw systemFailure("open", path.string) }
    }

    deinit {
        forget()
        close(root)
    }

    /// Lends the folder that holds `names` (created when missing). Valid until the next call.
    func folder(_ names: [FilePath.Component]) throws -> Int32 {
        if names.isEmpty {
            real = []
            return root
        }
        if cached >= 0, names == cachedNames { return cached }
        forget()
        if let direct = openDirectly(names) {
            cached = direct
            real = names
        } else {
            var walk = try FolderWalk(self)
            try walk.go(names)
            (cached, real) = walk.finish()
        }
        cachedNames = names
        return cached
    }

    /// Opens a folder by its real path; nil when there is none any more.
    func existing(_ names: [FilePath.Component]) -> Int32? {
        var current = dup(root)
        for name in names where current >= 0 {
            let next = Self.open(current, name)
            close(current)
            current = next
        }
        return current < 0 ? nil : current
    }

    /// Must be called when something on the cached way may have been replaced.
    func forget() {
        if cached >= 0 { close(cached) }
        cached = -1
        cachedNames = []
    }

    /// Must be called when a file appeared: it may stand before a link of a lower layer that the cached way took.
    func fileAppeared() {
        if real != cachedNames { forget() }
    }

    /// Whether lower layers shine through everything on the way to a real folder of this layer, and through itself.
    func seesBelow(_ names: [FilePath.Component]) throws -> Bool {
        for count in 0...names.count {
            guard let descriptor = existing(Array(names.prefix(count))) else {
                throw systemFailure("open folder", names.last?.string ?? "/", ENOENT)
            }
            let folder = OpenFile(adopting: descriptor)
            if OverlayMark.isOpaque(folder.descriptor) { return false }
        }
        return true
    }

    func findBelow(_ names: [FilePath.Component]) throws -> LowerFile? {
        askedLower = true
        guard let lower else { return nil }
        return try lower.find(names)
    }

    /// One system call for a way without links; nil when it takes more.
    private func openDirectly(_ names: [FilePath.Component]) -> Int32? {
        guard kernelOpens else { return nil }
        var path = FilePath()
        path.append(names)
        let folder = path.withPlatformString { opener.open(root, $0) }
        if folder >= 0 { return folder }
        // Old kernels do not know the call, old sandboxes forbid it.
        if errno == ENOSYS || errno == EPERM || errno == EINVAL || errno == E2BIG { kernelOpens = false }
        return nil
    }

    static func open(_ folder: Int32, _ name: FilePath.Component) -> Int32 {
        name.withPlatformString { openat(folder, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
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

    // MARK: Folders on the way

    /// Makes a folder nobody described: 0755 of root, from 1970.
    func make(_ folder: Int32, _ real: [FilePath.Component]) throws -> Int32 {
        try makeFolder(folder, real) { new in
            guard fchmod(new, 0o755) == 0 else { throw systemFailure("set the mode of", real.last?.string ?? "/") }
            return timespec()
        }
    }

    /// Makes a folder as a lower layer has it.
    func make(_ folder: Int32, _ real: [FilePath.Component], like lower: borrowing LowerFile) throws -> Int32 {
        try makeFolder(folder, real) { new in
            try lower.describe(new, asRoot: asRoot)
            return lower.status.st_mtim
        }
    }

    private func makeFolder(_ folder: Int32, _ real: [FilePath.Component], _ describe: (Int32) throws -> timespec) throws -> Int32 {
        guard let name = real.last else { throw systemFailure("create folder", "/", EINVAL) }
        guard name.withPlatformString({ mkdirat(folder, $0, 0o755) }) == 0 else { throw systemFailure("create folder", name.string) }
        let new = Self.open(folder, name)
        guard new >= 0 else { throw systemFailure("open folder", name.string) }
        do {
            try created?(real, new, try describe(new))
            return new
        } catch {
            close(new)
            throw error
        }
    }
}

/// How a way without links is opened below a root: openat2, unless a test stands in for another kernel.
public struct FolderOpener: Sendable {
    /// A descriptor, or -1 with `errno` set; ENOSYS says that this kernel cannot.
    let open: @Sendable (_ root: Int32, _ path: UnsafePointer<CChar>) -> Int32

    public init(_ open: @escaping @Sendable (_ root: Int32, _ path: UnsafePointer<CChar>) -> Int32) { self.open = open }

    /// openat2(2) with RESOLVE_IN_ROOT and RESOLVE_NO_SYMLINKS, in Linux since 5.6.
    public static let kernel = FolderOpener { root, path in
        slipway_open_in_root(root, path, UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    }
}
