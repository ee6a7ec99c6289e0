import CLibarchive
import Glibc
import SystemPackage

/// Goes from the root to a folder, one component at a time.
struct FolderWalk: ~Copyable {
    private let place: ExtractionRoot
    private var current: Int32
    private var real: [FilePath.Component] = []
    /// For the root and every folder of `real`: whether lower layers shine through.
    private var seesBelow: [Bool]
    private var links = 0

    init(_ place: ExtractionRoot) throws {
        self.place = place
        current = dup(place.root)
        guard current >= 0 else { throw systemFailure("open", "the folder") }
        seesBelow = [!OverlayMark.isOpaque(current)]
    }

    deinit { if current >= 0 { close(current) } }

    consuming func finish() -> (Int32, [FilePath.Component]) {
        let result = (current, real)
        current = -1
        return result
    }

    mutating func go(_ names: [FilePath.Component]) throws {
        var pending = Array(names.reversed())
        while let name = pending.popLast() {
            switch name.kind {
            case .currentDirectory: continue
            case .parentDirectory: try up()
            case .regular:
                guard let target = try step(name) else { continue }
                links += 1
                guard links <= 40 else {
                    throw TarError(
                        code: .unsafeEntry, message: "there are too many symbolic links on the way to '\(name)'",
                        hint: "the links of the image run in a circle")
                }
                if target.isAbsolute { try reset(to: []) }
                pending.append(contentsOf: target.components.reversed())
            }
        }
    }

    private mutating func up() throws {
        guard !real.isEmpty else { return }
        try reset(to: Array(real.dropLast()))
    }

    /// Walks down from the root again; the components are known to be real folders.
    private mutating func reset(to names: [FilePath.Component]) throws {
        guard let folder = place.existing(names) else { throw systemFailure("open folder", names.last?.string ?? "/") }
        close(current)
        current = folder
        real = names
        seesBelow.removeLast(seesBelow.count - names.count - 1)
    }

    private mutating func enter(_ folder: Int32, _ name: FilePath.Component, seesBelow sees: Bool) {
        close(current)
        current = folder
        real.append(name)
        seesBelow.append(sees)
    }

    /// Enters the folder, or returns where the link of that name leads.
    private mutating func step(_ name: FilePath.Component) throws -> FilePath? {
        let sees = seesBelow.last ?? false
        let next = ExtractionRoot.open(current, name)
        if next >= 0 {
            enter(next, name, seesBelow: sees && !OverlayMark.isOpaque(next))
            return nil
        }
        guard errno != ENOENT else { return try stepBelow(name, sees) }
        guard errno == ENOTDIR || errno == ELOOP else { throw systemFailure("open folder", name.string) }
        if let target = ExtractionRoot.readLink(current, name) { return target }
        var status = stat()
        guard name.withPlatformString({ fstatat(current, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0, status.isWhiteout else {
            throw Self.notAFolder(real, name)
        }
        // The layer hides what was there and puts something new in its place.
        guard name.withPlatformString({ unlinkat(current, $0, 0) }) == 0 else { throw systemFailure("replace", name.string) }
        let new = try place.make(current, real + [name])
        enter(new, name, seesBelow: false)
        try OverlayMark.makeOpaque(new)
        return nil
    }

    /// The layer itself has nothing of that name.
    private mutating func stepBelow(_ name: FilePath.Component, _ sees: Bool) throws -> FilePath? {
        guard sees, let lower = try place.findBelow(real + [name]) else {
            enter(try place.make(current, real + [name]), name, seesBelow: false)
            return nil
        }
        if let target = lower.link { return target }
        guard lower.isFolder else { throw Self.notAFolder(real, name) }
        let new = try place.make(current, real + [name], like: lower)
        enter(new, name, seesBelow: true)
        return nil
    }

    private static func notAFolder(_ real: [FilePath.Component], _ name: FilePath.Component) -> TarError {
        let path = (real + [name]).map(\.string).joined(separator: "/")
        return TarError(
            code: .invalidArchive, message: "an entry lies below '\(path)', which is not a folder",
            hint: "the layer is malformed or made for another base; build the image again")
    }
}
