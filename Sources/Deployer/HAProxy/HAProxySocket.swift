import Glibc
import SystemPackage

/// The runtime API of the worker that takes requests, and that of the master: docs.haproxy.org/2.6/management.html#9.3 and 9.4. Blocks.
struct HAProxySocket {
    let folder: FilePath
    var name = "admin.sock"

    /// - Returns: the answers to all commands.
    func ask(_ commands: [String]) throws -> String {
        let place = try FileDescriptor.open(folder, .readOnly, options: [.directory, .closeOnExec])
        return try place.closeAfter {
            // The address of a socket has room for 108 bytes, a folder's path may be longer.
            let file = FileDescriptor(rawValue: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
            guard file.rawValue >= 0 else { throw Errno(rawValue: errno) }
            return try file.closeAfter {
                try connect(file, "/proc/self/fd/\(place.rawValue)/\(name)")
                try file.writeAll(Array((commands.joined(separator: ";") + "\n").utf8))
                _ = shutdown(file.rawValue, Int32(SHUT_WR))
                return try answer(of: file)
            }
        }
    }

    /// Sends what answers nothing when it is well.
    func tell(_ commands: [String]) throws -> Bool {
        // Together they have to fit into a buffer of haproxy.
        for start in stride(from: 0, to: commands.count, by: 50) {
            let answer = try ask(Array(commands[start..<min(start + 50, commands.count)]))
            guard answer.utf8.allSatisfy({ $0 == UInt8(ascii: "\n") }) else { return false }
        }
        return true
    }

    private func connect(_ file: FileDescriptor, _ path: String) throws {
        var patience = timeval(tv_sec: 2, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            _ = setsockopt(file.rawValue, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(file.rawValue, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw Errno(rawValue: errno) }
    }

    private func answer(of file: FileDescriptor) throws -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < 16 << 20 {
            let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
