import Glibc
public import SystemPackage
import TarArchive

/// A log in the file system, in one of two forms: the file as it was written, or compressed beside its name.
///
/// The compressed form appears whole (temp, fsync, rename, fsync of the folder), then the plain file goes. Killed at any line, at
/// least one form is there and holds every line; while both are there the plain one counts. All calls block.
public struct LogFile: Sendable, Hashable {
    /// The plain form's name.
    public let path: FilePath

    public init(_ path: FilePath) { self.path = path }

    public static let suffix = ".log"
    static let compressedSuffix = ".zst"

    /// `zstdcat` prints it.
    public var compressed: FilePath { FilePath(path.string + Self.compressedSuffix) }
    /// What a compression that was cut off leaves.
    private var unfinished: FilePath { FilePath(compressed.string + ".part") }

    public var exists: Bool { Files.exists(path) || Files.exists(compressed) }

    /// When its last line was written, in seconds since 1970; nil when there is none.
    public var modified: Double? {
        guard let status = Self.status(path) ?? Self.status(compressed) else { return nil }
        return Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9
    }

    /// Gives the log a second name in whichever form it has; nothing to keep, or kept already, is fine.
    public func keep(as other: LogFile) throws(ContainerError) {
        if other.exists { return }
        try Files.makeFolder(other.path.removingLastComponent(), mode: 0o755)
        for (from, to) in [(path, other.path), (compressed, other.compressed)] {
            if link(from.string, to.string) == 0 || errno == EEXIST { return }
            guard errno == ENOENT else { throw ContainerError.file("keep", from, Errno(rawValue: errno)) }
        }
    }

    /// Compresses what nobody writes any more; no plain file is fine.
    ///
    /// - Parameter keepOn: asked now and then; what it throws ends the work, as if it had not begun.
    /// - Throws: ``ContainerError``, or what `keepOn` throws. The plain file is then there as before.
    public func compress(keepOn: () throws -> Void = {}) throws {
        do {
            let plain: FileDescriptor
            do { plain = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec]) } catch Errno.noSuchFileOrDirectory { return }
            try plain.closeAfter {
                let output = try FileDescriptor.open(
                    unfinished, .writeOnly, options: [.create, .truncate, .closeOnExec],
                    permissions: [.ownerReadWrite, .groupRead, .otherRead])
                try output.closeAfter {
                    try SeekableZstd.compress(plain, to: output, keepOn: keepOn)
                    try takeTimes(from: plain, for: output)
                    guard fsync(output.rawValue) == 0 else { throw Errno(rawValue: errno) }
                }
            }
            guard rename(unfinished.string, compressed.string) == 0 else { throw Errno(rawValue: errno) }
            let folder = try FileDescriptor.open(path.removingLastComponent(), .readOnly, options: [.directory, .closeOnExec])
            try folder.closeAfter { guard fsync(folder.rawValue) == 0 else { throw Errno(rawValue: errno) } }
            guard unlink(path.string) == 0 || errno == ENOENT else { throw Errno(rawValue: errno) }
        } catch {
            unlink(unfinished.string)
            if error is Errno || error is TarError { throw ContainerError.file("compress", path, error) }
            throw error
        }
    }

    /// Who asks when the log was written gets the same answer afterwards.
    private func takeTimes(from plain: FileDescriptor, for output: FileDescriptor) throws {
        var status = stat()
        guard fstat(plain.rawValue, &status) == 0 else { throw Errno(rawValue: errno) }
        let times = [status.st_atim, status.st_mtim]
        guard futimens(output.rawValue, times) == 0 else { throw Errno(rawValue: errno) }
    }

    private static func status(_ path: FilePath) -> stat? {
        var status = stat()
        return stat(path.string, &status) == 0 ? status : nil
    }
}
