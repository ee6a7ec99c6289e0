import Glibc
import SystemPackage
import TarArchive

/// The text of a log, as conmon writes it or compressed. Closed with its last user; belongs to one thread.
final class LogBytes {
    private let file: FileDescriptor
    private let compressed: SeekableZstdReader?

    /// Nil when there is neither form. The plain file goes last when a log is compressed, so whoever does not find it finds the other.
    static func open(_ path: FilePath) throws -> LogBytes? {
        for (name, isCompressed) in [(path, false), (LogFile(path).compressed, true)] {
            do {
                let file = try FileDescriptor.open(name, .readOnly, options: [.closeOnExec])
                do { return try LogBytes(file, isCompressed: isCompressed) } catch {
                    try? file.close()
                    throw error
                }
            } catch Errno.noSuchFileOrDirectory {}
        }
        return nil
    }

    private init(_ file: FileDescriptor, isCompressed: Bool) throws {
        self.file = file
        compressed = isCompressed ? try SeekableZstdReader(file) : nil
    }

    deinit { try? file.close() }

    var size: Int64 {
        get throws { if let compressed { compressed.size } else { try file.seek(offset: 0, from: .end) } }
    }

    /// At most as much as the buffer holds; 0 at the end.
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if let compressed { return try compressed.read(at: offset, into: buffer) }
        return try file.read(fromAbsoluteOffset: offset, into: buffer)
    }

    /// Whoever began a line has paused for two seconds: what the other stream said since must not wait for its end.
    var isIdle: Bool {
        var status = stat()
        return compressed != nil || fstat(file.rawValue, &status) != 0 || time(nil) - status.st_mtim.tv_sec > 2
    }
}
