import CLibgit2
import Glibc

/// The TCP connections of libgit2 (below its `git`, `http`, `https` and `ssh` transports), as non-blocking sockets that obey a
/// ``ConnectionWatch`` and never raise `SIGPIPE`. libgit2 owns the streams and calls `free` exactly once.
enum SocketStream {
    private typealias Stream = UnsafeMutablePointer<slipway_socket_stream>

    static func register() {
        var registration = git_stream_registration()
        registration.version = GIT_STREAM_VERSION
        registration.`init` = { out, host, port in
            guard let out, let host, let port else { return GIT_ERROR.rawValue }
            out.pointee = SocketStream.make(host, port)
            return out.pointee == nil ? GIT_ERROR.rawValue : 0
        }
        git_stream_register(GIT_STREAM_STANDARD, &registration)
    }

    private static func make(_ host: UnsafePointer<CChar>, _ port: UnsafePointer<CChar>) -> UnsafeMutablePointer<git_stream>? {
        guard let memory = calloc(1, MemoryLayout<slipway_socket_stream>.size) else { return nil }
        let stream = memory.bindMemory(to: slipway_socket_stream.self, capacity: 1)
        stream.pointee.parent.version = GIT_STREAM_VERSION
        stream.pointee.host = strdup(host)
        stream.pointee.port = strdup(port)
        stream.pointee.socket = -1
        stream.pointee.watch = ConnectionWatch.current.map { Unmanaged.passRetained($0).toOpaque() }
        stream.pointee.parent.connect = { SocketStream.connect(SocketStream.ours($0)) }
        stream.pointee.parent.read = { SocketStream.read(SocketStream.ours($0), $1, $2) }
        stream.pointee.parent.write = { stream, data, count, _ in SocketStream.write(SocketStream.ours(stream), data, count) }
        stream.pointee.parent.close = { SocketStream.close(SocketStream.ours($0)) }
        stream.pointee.parent.free = { SocketStream.free(SocketStream.ours($0)) }
        return UnsafeMutableRawPointer(stream).assumingMemoryBound(to: git_stream.self)
    }

    /// libgit2 hands back the pointer that ``make(_:_:)`` returned; `parent` is the first member.
    private static func ours(_ stream: UnsafeMutablePointer<git_stream>?) -> Stream? {
        stream.map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: slipway_socket_stream.self) }
    }

    private static func wait(_ stream: Stream, _ socket: Int32, _ events: Int32) -> Bool {
        guard let watch = stream.pointee.watch else { return true }
        return Unmanaged<ConnectionWatch>.fromOpaque(watch).takeUnretainedValue().wait(for: socket, events)
    }

    private static func fail(_ message: String) -> Int32 {
        git_error_set_str(Int32(bitPattern: GIT_ERROR_NET.rawValue), message)
        return GIT_ERROR.rawValue
    }

    private static func connect(_ stream: Stream?) -> Int32 {
        guard let stream, let host = stream.pointee.host, let port = stream.pointee.port else { return fail("no address") }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_family = AF_UNSPEC
        var found: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, port, &hints, &found)
        guard result == 0 else { return fail("cannot find the host '\(String(cString: host))': \(String(cString: gai_strerror(result)))") }
        defer { freeaddrinfo(found) }
        var problem = "it has no address"
        for address in sequence(first: found, next: { $0?.pointee.ai_next }) {
            guard let address = address?.pointee else { break }
            let socket = Glibc.socket(
                address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), address.ai_protocol)
            guard socket >= 0 else { continue }
            var number: Int32 = 0
            if Glibc.connect(socket, address.ai_addr, address.ai_addrlen) != 0 {
                number = errno
                if number == EINPROGRESS {
                    var size = socklen_t(MemoryLayout<Int32>.size)
                    number = wait(stream, socket, POLLOUT) && getsockopt(socket, SOL_SOCKET, SO_ERROR, &number, &size) == 0 ? number : ETIMEDOUT
                }
            }
            if number == 0 {
                stream.pointee.socket = socket
                return 0
            }
            problem = String(cString: strerror(number))
            Glibc.close(socket)
        }
        return fail("cannot connect to '\(String(cString: host))' port \(String(cString: port)): \(problem)")
    }

    private static func read(_ stream: Stream?, _ data: UnsafeMutableRawPointer?, _ count: Int) -> Int {
        guard let stream else { return -1 }
        while true {
            let received = recv(stream.pointee.socket, data, count, Int32(MSG_DONTWAIT))
            if received >= 0 { return received }
            guard errno == EINTR || (errno == EAGAIN && wait(stream, stream.pointee.socket, POLLIN)) else {
                return Int(fail("the connection broke while receiving: \(String(cString: strerror(errno)))"))
            }
        }
    }

    private static func write(_ stream: Stream?, _ data: UnsafePointer<CChar>?, _ count: Int) -> Int {
        guard let stream else { return -1 }
        while true {
            let sent = send(stream.pointee.socket, data, count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            if sent >= 0 { return sent }
            guard errno == EINTR || (errno == EAGAIN && wait(stream, stream.pointee.socket, POLLOUT)) else {
                return Int(fail("the connection broke while sending: \(String(cString: strerror(errno)))"))
            }
        }
    }

    private static func close(_ stream: Stream?) -> Int32 {
        guard let stream, stream.pointee.socket >= 0 else { return 0 }
        let result = Glibc.close(stream.pointee.socket)
        stream.pointee.socket = -1
        return result
    }

    private static func free(_ stream: Stream?) {
        guard let stream else { return }
        _ = close(stream)
        Glibc.free(stream.pointee.host)
        Glibc.free(stream.pointee.port)
        if let watch = stream.pointee.watch { Unmanaged<ConnectionWatch>.fromOpaque(watch).release() }
        Glibc.free(stream)
    }
}
