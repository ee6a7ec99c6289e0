import CLibarchive
import Glibc
import SystemPackage

extension Extraction {
    /// Another name of a file of this layer or of a lower one. A link to a symbolic link is another name of the link
    /// itself; it is never followed.
    func hardlink(_ parents: [FilePath.Component], _ name: FilePath.Component, _ target: FilePath) throws {
        let there = try EntryName(target, options.limits)
        guard let last = there.components.last, case .file = there.meaning else {
            throw TarError(
                code: .unsafeEntry, message: "the hard link '\(name)' leads to '\(target)', which is no file",
                hint: "the layer is malformed; build the image again")
        }
        // The folder is lent until the next question.
        let source = OpenFile(adopting: dup(try root.folder(there.parents)))
        guard source.descriptor >= 0 else { throw systemFailure("open", target.string) }
        try fetch(last, source.descriptor, root.real + [last], name, target)
        let parent = try root.folder(parents)
        if name == last, try Self.isSame(parent, source.descriptor) { return }
        try clear(parent, name)
        guard last.withPlatformString({ from in name.withPlatformString { linkat(source.descriptor, from, parent, $0, 0) } }) == 0 else {
            throw systemFailure("link '\(name)' to", target.string)
        }
        root.forget()
    }

    /// Sees to it that the target is in this layer: a file of a lower one is copied, as overlayfs does.
    private func fetch(
        _ last: FilePath.Component, _ folder: Int32, _ real: [FilePath.Component], _ name: FilePath.Component, _ target: FilePath
    ) throws {
        var status = stat()
        if last.withPlatformString({ fstatat(folder, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 {
            if status.isWhiteout { throw Self.missing(name, target) }
            guard status.st_mode & S_IFMT != S_IFDIR else {
                throw TarError(
                    code: .invalidArchive, message: "the hard link '\(name)' leads to the folder '\(target)'",
                    hint: "the layer is malformed; build the image again")
            }
            return
        }
        guard errno == ENOENT else { throw systemFailure("look at", target.string) }
        guard try root.seesBelow(Array(real.dropLast())), let lower = try root.findBelow(real) else { throw Self.missing(name, target) }
        try count(Int64(lower.status.st_size))
        try lower.copy(to: folder, asRoot: asRoot)
    }

    private static func missing(_ name: FilePath.Component, _ target: FilePath) -> TarError {
        TarError(
            code: .invalidArchive, message: "the hard link '\(name)' leads to '\(target)', which neither this layer nor one below has",
            hint: "the layer is malformed or made for another base; build the image again")
    }

    private static func isSame(_ one: Int32, _ other: Int32) throws -> Bool {
        var (first, second) = (stat(), stat())
        guard fstat(one, &first) == 0, fstat(other, &second) == 0 else { throw systemFailure("look at", "a folder") }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    // MARK: Whiteouts

    /// Nothing that lower layers have under this name is seen; what this layer has stays.
    func hide(_ hidden: FilePath.Component, in parents: [FilePath.Component]) throws {
        guard options.overlayWhiteouts else { return }
        let parent = try root.folder(parents)
        let inner = OpenFile(adopting: ExtractionRoot.open(parent, hidden))
        if inner.descriptor >= 0 {
            try OverlayMark.makeOpaque(inner.descriptor)
        } else {
            let code: Int32 = hidden.withPlatformString { mknodat(parent, $0, S_IFCHR, 0) == 0 ? 0 : errno }
            guard code == 0 || code == EEXIST else { throw systemFailure("hide", hidden.string, code) }
        }
        root.forget()
    }

    func hideAll(in parents: [FilePath.Component]) throws {
        guard options.overlayWhiteouts else { return }
        try OverlayMark.makeOpaque(try root.folder(parents))
        root.forget()
    }
}
