/// haproxy's line for a request; see docs.haproxy.org/2.6/configuration.html#8.2.4. None of its fields is written by a client. It names
/// the last instance that was tried only: an attempt that was refused before, and went on to another one, is not seen.
struct HAProxyTrafficLine: TrafficFormat {
    /// Route, server, status, how it ended, milliseconds to connect, to the answer's beginning, in all; the generation when it
    /// came (versions before did not write that).
    static let format = "2|%[var(txn.slipway_route)]|%s|%ST|%ts|%Tc|%Tr|%Ta|%[var(txn.slipway_generation)]"

    func attempts(_ line: ArraySlice<UInt8>, of key: String, history: [RouteInstances]) -> [TrafficAttempt] {
        guard line.starts(with: "2|\(key)|".utf8) else { return [] }
        let fields = line.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        guard fields.count == 8 || (fields.count == 9 && number(fields[8]) != nil), let status = number(fields[3]), let cause = fields[4].first,
            let connect = number(fields[5]),
            let answer = number(fields[6]), let total = number(fields[7])
        else { return [] }
        // Session state at disconnection: the client went away, or was too slow.
        let isLeft = cause == UInt8(ascii: "C") || cause == UInt8(ascii: "c")
        // What no instance was tried for says nothing about one.
        guard let deployment = deployment(fields[2]) else { return [] }
        let milliseconds = answer >= 0 ? max(0, connect) + answer : (isLeft || status == 504 ? max(0, total) : nil)
        return [
            TrafficAttempt(
                deployment: deployment, failed: !isLeft && (status >= 500 || cause == UInt8(ascii: "S")),
                seconds: milliseconds.map { Double($0) / 1000 })
        ]
    }

    /// Of `deployment_address_port`.
    private func deployment(_ server: ArraySlice<UInt8>) -> String? {
        let underscore = UInt8(ascii: "_")
        guard let port = server.lastIndex(of: underscore), let address = server[..<port].lastIndex(of: underscore) else { return nil }
        return String(decoding: server[..<address], as: UTF8.self)
    }

    private func number(_ bytes: ArraySlice<UInt8>) -> Int? { Int(String(decoding: bytes, as: UTF8.self)) }
}
