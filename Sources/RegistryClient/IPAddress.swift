import Glibc

/// An IPv4 or IPv6 address, and who can be reached by it.
struct IPAddress: Sendable, Hashable {
    /// Four or sixteen bytes. IPv4 in IPv6 (`::ffff:a.b.c.d`, and NAT64's `64:ff9b::/96`) is IPv4.
    let bytes: [UInt8]

    /// From the narrowest to the widest.
    enum Reach: Int, Sendable, Comparable {
        /// Link-local (where clouds keep their metadata), multicast, unspecified, reserved: never a registry.
        case unusable
        /// This machine.
        case loopback
        /// Private networks (RFC 1918, RFC 4193, RFC 6598).
        case internalNetwork
        case publicNetwork

        static func < (left: Reach, right: Reach) -> Bool { left.rawValue < right.rawValue }
    }

    /// - Parameter text: without brackets. A zone (`%eth0`) is not accepted.
    init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(withUnsafeBytes(of: four) { Array($0) })
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self.init(withUnsafeBytes(of: six) { Array($0) })
        } else {
            return nil
        }
    }

    init(_ bytes: [UInt8]) {
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        let translated: [UInt8] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]
        let isFour = bytes.count == 16 && (bytes.starts(with: mapped) || bytes.starts(with: translated))
        self.bytes = isFour ? Array(bytes.suffix(4)) : bytes
    }

    var reach: Reach { bytes.count == 4 ? reach4 : reach6 }

    private var reach4: Reach {
        switch (bytes[0], bytes[1]) {
        case (127, _): .loopback
        case (10, _), (172, 16...31), (192, 168), (100, 64...127): .internalNetwork
        case (0, _), (169, 254), (224..., _),
            (192, 0) where bytes[2] == 0:
            .unusable
        case (198, 18...19): .internalNetwork
        default: .publicNetwork
        }
    }

    private var reach6: Reach {
        if bytes.dropLast().allSatisfy({ $0 == 0 }) { return bytes[15] == 1 ? .loopback : .unusable }
        if bytes[0] & 0xfe == 0xfc { return .internalNetwork }
        if bytes[0] == 0xfe, bytes[1] & 0xc0 == 0x80 { return .unusable }
        if bytes[0] == 0xfe, bytes[1] & 0xc0 == 0xc0 { return .internalNetwork }
        return bytes[0] == 0xff ? .unusable : .publicNetwork
    }

    func isIn(_ network: IPAddress, bits: Int) -> Bool {
        guard bytes.count == network.bytes.count else { return false }
        return (0..<bits).allSatisfy { bit in
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            return bytes[bit / 8] & mask == network.bytes[bit / 8] & mask
        }
    }

    /// For a URL or a socket: without brackets.
    var text: String {
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        return stride(from: 0, to: 16, by: 2).map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
            .joined(separator: ":")
    }

    /// What a name resolves to, in the order the system prefers. Blocking.
    static func resolve(_ host: String) -> [IPAddress] {
        if let address = IPAddress(host) { return [address] }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [IPAddress] = []
        var next = list
        while let entry = next?.pointee {
            if entry.ai_family == AF_INET {
                entry.ai_addr.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                    found.append(IPAddress(withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) }))
                }
            } else if entry.ai_family == AF_INET6 {
                entry.ai_addr.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                    found.append(IPAddress(withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) }))
                }
            }
            next = entry.ai_next
        }
        return found
    }
}
