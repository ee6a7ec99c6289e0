import Foundation
import Glibc
import SystemPackage
import WebServer

import enum NIOCore.SocketAddress

/// The socket this server's clients connect to: made here, or by whoever was there before.
///
/// It stays open until the process ends; connections that nobody has accepted wait in it.
struct ListeningSocket {
    let descriptor: FileDescriptor
    /// Whether it was there before this process.
    let isInherited: Bool

    /// Takes what is open already.
    ///
    /// - Throws: ``Failure`` when it is not a socket that listens.
    init(open descriptor: FileDescriptor) throws {
        self.descriptor = descriptor
        isInherited = true
        guard Self.option(SO_ACCEPTCONN, of: descriptor) == 1 else {
            throw Failure("descriptor \(descriptor.rawValue) is not a socket that listens", hint: "see sd_listen_fds(3)")
        }
        guard fcntl(descriptor.rawValue, F_SETFD, FD_CLOEXEC) == 0 else { throw Errno(rawValue: errno) }
    }

    /// A new one. A port that is taken is said before any work starts.
    init(host: String, port: Int) throws {
        func failure(_ reason: String) -> Failure {
            Failure(
                "cannot listen on \(host):\(port): \(reason)",
                hint: "stop what listens there, or choose another address with --listen")
        }
        let address: SocketAddress
        do { address = try SocketAddress.makeAddressResolvingHost(host, port: port) } catch { throw failure("\(error)") }
        let socket = socket(Int32(address.protocol.rawValue), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw failure("\(Errno(rawValue: errno))") }
        var yes: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound = address.withSockAddr { bind(socket, $0, socklen_t($1)) == 0 }
        guard bound, Glibc.listen(socket, WebListener.backlog) == 0 else {
            let reason = Errno(rawValue: errno)
            close(socket)
            throw failure("\(reason)")
        }
        descriptor = FileDescriptor(rawValue: socket)
        isInherited = false
    }

    /// The one that systemd has made for this process (sd_listen_fds(3)); nil when it has made none.
    static func activated() throws -> ListeningSocket? {
        let environment = ProcessInfo.processInfo.environment
        guard environment["LISTEN_PID"].flatMap({ pid_t($0) }) == getpid(), let count = environment["LISTEN_FDS"].flatMap({ Int($0) }), count > 0
        else { return nil }
        // Not for the programs that this one starts.
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) }
        guard count == 1 else {
            throw Failure("\(count) sockets were handed to the server", hint: "give its socket unit one ListenStream", status: Failure.usage)
        }
        return try ListeningSocket(open: FileDescriptor(rawValue: 3))
    }

    /// Where it listens.
    var address: String { (try? name).map { "\($0)" } ?? "an unknown address" }

    /// Whether it listens where a new one for that address would.
    func listens(on host: String, _ port: Int) -> Bool {
        guard let here = try? name, let wanted = try? SocketAddress.makeAddressResolvingHost(host, port: port) else { return false }
        return here == wanted
    }

    private var name: SocketAddress {
        get throws {
            var storage = sockaddr_storage()
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            return try withUnsafeMutablePointer(to: &storage) { pointer in
                try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    guard getsockname(descriptor.rawValue, address, &size) == 0 else { throw Errno(rawValue: errno) }
                }
                switch Int32(pointer.pointee.ss_family) {
                case AF_INET:
                    return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { SocketAddress($0.pointee) }
                case AF_INET6:
                    return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { SocketAddress($0.pointee) }
                default: throw Errno.addressFamilyNotSupported
                }
            }
        }
    }

    private static func option(_ name: Int32, of descriptor: FileDescriptor) -> Int32? {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor.rawValue, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
    }
}
