/// nginx's line for a request. None of its fields is written by a client, so no request can forge one; see
/// nginx.org/en/docs/http/ngx_http_upstream_module.html#variables for those with a value for each instance that was tried.
struct NginxTrafficLine: TrafficFormat {
    static func format(generation: Int) -> String {
        "1|$slipway_route|\(generation)|$status|$request_time|$upstream_addr|$upstream_status|$upstream_header_time"
    }

    private static let clientWentAway = 499

    func attempts(_ line: ArraySlice<UInt8>, of key: String, history: [RouteInstances]) -> [TrafficAttempt] {
        guard line.starts(with: "1|\(key)|".utf8) else { return [] }
        let fields = line.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        guard fields.count == 8, let generation = Int(text(fields[2])), let status = Int(text(fields[3])),
            let duration = Double(text(fields[4]))
        else { return [] }
        let addresses = list(fields[5])
        let statuses = list(fields[6]).map(Int.init)
        let times = list(fields[7]).map(Double.init)
        guard addresses.count == statuses.count, addresses.count == times.count else { return [] }
        let instances = history.last { $0.since <= generation }
        return addresses.indices.map { index in
            let isLeft = status == Self.clientWentAway && index == addresses.count - 1
            // Who waited in vain waited at least that long.
            let isCutOff = isLeft || statuses[index] == 504 && addresses.count == 1
            return TrafficAttempt(
                deployment: instances?.deployments[addresses[index]],
                failed: !isLeft && (statuses[index].map { $0 >= 500 } ?? true),
                seconds: times[index] ?? (isCutOff ? duration : nil))
        }
    }

    /// `a, b` where others were tried, `a : b` after an internal redirect.
    private func list(_ field: ArraySlice<UInt8>) -> [String] {
        field.split(separator: UInt8(ascii: " ")).map { text($0.last == UInt8(ascii: ",") ? $0.dropLast() : $0) }.filter { $0 != ":" }
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}
