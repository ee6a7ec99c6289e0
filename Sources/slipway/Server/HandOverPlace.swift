import Foundation
import Glibc
import SystemPackage

/// Where a server meets its successor: a socket in the data directory, named for the port they share.
///
/// The conversation: whoever connects gets one byte with the listening socket (SCM_RIGHTS), checks what it can, and answers with
/// the byte ``take``, which comes back. From then on the one that served ends: ``quiet`` comes when it accepts nothing any more,
/// and the connection closes when it is gone.
struct HandOverPlace {
    static let offer = UInt8(ascii: "1")
    static let take = UInt8(ascii: "t")
    static let quiet = UInt8(ascii: "q")

    let folder: FilePath
    let port: Int

    private var name: String { "handover-\(port).sock" }
    var path: FilePath { folder.appending(name) }

    /// Makes the socket; what a killed server has left is replaced.
    func listen() throws -> FileDescriptor {
        try withAddress { address, size in
            unlink(path.string)
            let socket = try Self.socket()
            guard bind(socket, address, size) == 0, chmod(path.string, 0o600) == 0, Glibc.listen(socket, 4) == 0 else {
                let reason = Errno(rawValue: errno)
                close(socket)
                throw reason
            }
            return FileDescriptor(rawValue: socket)
        }
    }

    /// A connection to the server that is there; nil when there is none.
    func connect() throws -> FileDescriptor? {
        guard FileManager.default.fileExists(atPath: folder.string) else { return nil }
        return try withAddress { address, size in
            let socket = try Self.socket()
            guard Glibc.connect(socket, address, size) == 0 else {
                let reason = Errno(rawValue: errno)
                close(socket)
                if reason == .noSuchFileOrDirectory || reason == .connectionRefused { return nil }
                throw reason
            }
            return FileDescriptor(rawValue: socket)
        }
    }

    /// Who is at the other end: only the same user may take over, or hand over.
    static func peer(of connection: FileDescriptor) -> (process: Int32, isTrusted: Bool)? {
        // unix(7), SO_PEERCRED: process, user, group.
        var peer: [Int32] = [0, 0, 0]
        var size = socklen_t(peer.count * MemoryLayout<Int32>.size)
        guard getsockopt(connection.rawValue, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 else { return nil }
        let user = uid_t(bitPattern: peer[1])
        return (peer[0], user == geteuid() || user == 0)
    }

    /// Nobody keeps the other one waiting for longer.
    static func limitWaiting(_ connection: FileDescriptor, seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(connection.rawValue, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private static func socket() throws -> Int32 {
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw Errno(rawValue: errno) }
        return socket
    }

    /// Through a descriptor of the folder: the path of a socket has at most 107 bytes (unix(7)).
    private func withAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws -> R) throws -> R {
        let opened = try FileDescriptor.open(folder, .readOnly, options: [.directory, .closeOnExec])
        return try opened.closeAfter {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "/proc/self/fd/\(opened.rawValue)/\(name)".utf8) }
            return try withUnsafePointer(to: &address) { pointer in
                try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { try body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
        }
    }
}
