import Glibc

/// Nothing reaches a router's configuration that has not passed here.
enum RouteValidation {
    static func check(_ route: Route) throws(DeployerError) {
        try check(key: route.key)
        guard isHostName(route.host) else {
            throw DeployerError(
                .invalidValue, "\"\(printable(route.host))\" is not a host name",
                hint: "use lower case letters, digits, dashes and dots, such as shop.localhost")
        }
        guard !route.upstreams.isEmpty else {
            throw DeployerError(
                .invalidValue, "the route \(route.key) has no instances",
                hint: "start instances first, or remove the route")
        }
        for upstream in route.upstreams {
            guard isAddress(upstream.address), (1...65535).contains(upstream.port),
                (1...1000).contains(upstream.weight)
            else {
                throw DeployerError(
                    .invalidValue,
                    "\(printable(upstream.address)) port \(upstream.port) weight \(upstream.weight) cannot be routed to",
                    hint: "an instance needs an IP address, a port from 1 to 65535 and a weight from 1 to 1000")
            }
        }
    }

    static func check(key: String) throws(DeployerError) {
        let good = key.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "._-/".utf8.contains(byte)
            }
        }
        guard good, (1...200).contains(key.utf8.count) else {
            throw DeployerError(
                .invalidValue, "\"\(printable(key))\" is not a route key", hint: "keys look like project/pipeline/stage")
        }
    }

    /// RFC 1123 host name, in lower case.
    static func isHostName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        return text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
                }
        }
    }

    /// IPv4 or IPv6 address as inet_pton(3) reads it, without a zone.
    static func isAddress(_ text: String) -> Bool {
        guard !text.utf8.contains(0) else { return false }
        var v4 = in_addr()
        var v6 = in6_addr()
        return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1
    }

    /// A short form without control characters, for messages.
    static func printable(_ text: String) -> String {
        String(text.unicodeScalars.prefix(80).map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) })
    }
}
