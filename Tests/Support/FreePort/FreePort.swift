import Glibc
import Synchronization

public struct NoFreePort: Error {
    public init() {}
}

private let given = Mutex<Set<Int>>([])

/// A port nobody listens on, below those the kernel gives to outgoing connections. None is given twice in a process: whoever got one may
/// take its time to listen.
public func freePort() throws(NoFreePort) -> Int {
    for _ in 0..<200 {
        let port = Int.random(in: 20_000..<32_000)
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        if status == 0, given.withLock({ $0.insert(port).inserted }) { return port }
    }
    throw NoFreePort()
}
