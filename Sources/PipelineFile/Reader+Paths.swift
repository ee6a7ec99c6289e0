internal import Glibc
internal import Yams

extension Reader {
    /// `paths`, `strip_prefix` and `legacy`.
    func scope(of stage: inout StagePlan, _ fields: Fields) {
        if let node = fields["paths"], let paths = texts(node, "paths", single: true) {
            let hint = "write /api or /shop/v2: letters, digits, '.', '_', '~', '-', no slash at the end"
            if paths.isEmpty || paths.count > 50 { report(node, "there are 1 to 50 paths", "write [/api], or remove the key") }
            for path in paths where path != "/" && !isPrefix(path) { report(node, "'\(path.prefix(80))' is not the beginning of a path", hint) }
            if let twice = Dictionary(grouping: paths, by: { $0 }).first(where: { $0.value.count > 1 })?.key {
                report(node, "the path \(twice) is there twice", "name it once")
            }
            if paths.contains("/"), paths.count > 1 { report(node, "'/' stands for all paths", "remove '/', or the others") }
            stage.paths = paths == ["/"] ? nil : paths
        }
        if let node = fields["strip_prefix"], bool(node, "strip_prefix") == true {
            stage.stripPrefix = true
            if stage.paths == nil { report(fields.key("strip_prefix"), "the stage has all paths, so there is no prefix", "add path: /api") }
        }
        if let node = fields["legacy"] {
            stage.legacy = legacy(node)
            if stage.paths == nil {
                report(fields.key("legacy"), "the stage has all paths, so nothing is left for 'legacy'", "add paths: [/checkout]")
            }
        }
    }

    /// Reports a host and a path that another stage of the file has.
    func claim(_ host: String, of stage: StagePlan, at node: Node, _ places: inout [String: String]) {
        var paths = stage.paths ?? ["/"]
        if stage.legacy != nil { paths.append("/") }
        for path in paths {
            let place = path == "/" ? host : host + path
            guard let other = places.updateValue(stage.name, forKey: place) else { continue }
            report(
                node, path == "/" ? "stage '\(other)' has the same host" : "stage '\(other)' has \(place) too",
                "give every stage its own host, or paths of its own")
        }
    }

    private func isPrefix(_ path: String) -> Bool {
        guard path.hasPrefix("/"), path.utf8.count <= 200 else { return false }
        return path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).allSatisfy { segment in
            segment != "." && segment != ".." && !segment.isEmpty
                && segment.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                        true
                    default: "._~-".utf8.contains(byte)
                    }
                }
        }
    }

    /// `http://127.0.0.1:9000`, `http://[::1]:9000`.
    private func legacy(_ node: Node) -> LegacyPlan? {
        guard let text = text(node, "legacy") else { return nil }
        var rest = Substring(text)
        if rest.hasPrefix("http://"), rest.dropFirst(7).hasSuffix("/") { rest = rest.dropLast() }
        let parts = rest.dropFirst(7)
        let colon = parts.lastIndex(of: ":").flatMap { parts[$0...].contains("]") ? nil : $0 }
        let isBracketed = parts.hasPrefix("[")
        let host = String(parts[..<(colon ?? parts.endIndex)].drop { $0 == "[" }.prefix { $0 != "]" })
        let port = colon.map { Int(parts[parts.index(after: $0)...]) ?? 0 } ?? 80
        var v4 = in_addr()
        var v6 = in6_addr()
        let isAddress = isBracketed ? inet_pton(AF_INET6, host, &v6) == 1 : inet_pton(AF_INET, host, &v4) == 1
        guard rest.hasPrefix("http://"), isAddress, (1...65535).contains(port) else {
            report(
                node, "'\(text.prefix(80))' is not where a router can send requests",
                "write http://127.0.0.1:9000: plain HTTP, the IP address and the port, no path")
            return nil
        }
        return LegacyPlan(address: host, port: port)
    }
}
