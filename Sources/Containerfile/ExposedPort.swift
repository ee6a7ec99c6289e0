/// The ports of EXPOSE: `port[-last][/protocol]`.
public enum ExposedPort {
    /// The keys of the config's `ExposedPorts`, in order: `80/tcp`. The protocol is tcp when none is given.
    public static func ports(parsing text: String) throws(InvalidValue) -> [String] {
        let (range, transport) = try parse(text)
        return range.map { "\($0)/\(transport)" }
    }

    static func parse(_ text: String) throws(InvalidValue) -> (range: ClosedRange<UInt16>, transport: String) {
        guard !text.contains(":") else {
            throw InvalidValue(
                "\(SourceText.quoted(text)) names an address or a port of the host, which EXPOSE does not have",
                hint: "write the container's port only, as in EXPOSE 80/tcp")
        }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let transport = parts.count == 2 && !parts[1].isEmpty ? parts[1].lowercased() : "tcp"
        let range = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { part in
            part.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? UInt16(part) : nil
        }
        guard ["tcp", "udp", "sctp"].contains(transport), let first = range.first ?? nil, let last = range.last ?? nil, first <= last
        else {
            throw InvalidValue("\(SourceText.quoted(text)) is no port", hint: "write it as in 80, 53/udp or 8000-8010/tcp")
        }
        return (first...last, transport)
    }
}
