import CLibarchive
import Glibc
import SystemPackage

/// Where the bytes of a layer file come from.
protocol ByteSource: AnyObject {
    /// Fills as much of `buffer` as there is; fewer bytes than asked for mean the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

final class FileSource: ByteSource {
    private let file: OpenFile
    private let name: String

    init(_ path: FilePath) throws {
        file = try OpenFile(path, O_RDONLY)
        name = path.string
        var status = stat()
        guard fstat(file.descriptor, &status) == 0 else { throw systemFailure("read", name) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw TarError(code: .invalidArchive, message: "\(name) is not a regular file", hint: "name a layer or an archive")
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try readFully(file.descriptor, buffer, name: name)
    }
}

final class MemorySource: ByteSource {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, bytes.count - position)
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count])) }
        position += count
        return count
    }
}
