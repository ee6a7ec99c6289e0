import DeliveryModel
import Foundation
import FreePort
import Subprocess
import SystemPackage
import Testing

@testable import Deployer

/// What routers count, from the logs they really write.
@Suite(.serialized) struct TrafficTests {
    static let blue = (name: "blue", address: "127.0.0.11")
    static let green = (name: "green", address: "127.0.0.12")

    func route(_ backend: Int, share: Int = 500, key: String = "shop/prod", host: String = "shop.localhost") -> Route {
        Route(
            key: key, host: host, upstreams: [Upstream(address: Self.blue.address, port: backend)], deployment: "new",
            previous: PreviousVersion(deployment: "old", upstreams: [Upstream(address: Self.green.address, port: backend)], share: share),
            preview: "preview.\(host)", pins: true)
    }

    /// Waits until the log holds them all: a line is written after its answer.
    func traffic(_ router: any Router, since mark: TrafficMark, key: String = "shop/prod", of count: Int) async throws -> [VersionTraffic] {
        var seen: [VersionTraffic] = []
        let isThere = try await eventually(60) {
            seen = try await router.traffic(key: key, since: mark)
            return seen.reduce(0) { $0 + $1.requests } >= count
        }
        #expect(isThere, "\(seen)")
        return seen
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func countsEachVersionOfARoute(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue, Self.green], port: backend) {
            try await withRouter(kind) { router in
                try await router.put(route(backend, share: 750))
                try await router.put(route(backend, key: "other/prod", host: "other.localhost"))
                _ = try await router.ask(40, "shop.localhost")
                _ = try await traffic(router.router, since: TrafficMark(log: 0, offset: 0), of: 40)
                let mark = try await router.router.trafficMark()
                #expect(try await router.router.traffic(key: "shop/prod", since: mark).map(\.requests) == [0, 0])

                _ = try await router.ask(80, "shop.localhost")
                _ = try await router.ask(8, "shop.localhost", path: "/slow/2", headers: ["X-Slipway-Version": "new"])
                _ = try await router.ask(20, "shop.localhost", path: "/bad", headers: ["X-Slipway-Version": "old"])
                // None of these is the route's.
                _ = try await router.ask(20, "preview.shop.localhost")
                _ = try await router.ask(20, "other.localhost")
                _ = try await router.ask(20, "unknown.localhost")
                let seen = try await traffic(router.router, since: mark, of: 108)
                #expect(seen.map(\.deployment) == ["new", "old"])
                #expect(seen.map(\.requests) == [28, 80])
                #expect(seen.map(\.errors) == [0, 20])
                let slow = try #require(seen[0].latency.quantile(0.99))
                #expect(slow >= 2 && slow < 20)
                let usual = try #require(seen[0].latency.quantile(0.5))
                #expect(usual < 2)
                #expect(seen.map(\.latency.count) == [28, 80])

                // Another server, or this one after a restart, counts the same; and goes on where the other was.
                let again = try router.again()
                #expect(try await again.traffic(key: "shop/prod", since: mark) == seen)
                _ = try await router.ask(40, "shop.localhost")
                #expect(try await traffic(again, since: mark, of: 148).map(\.requests) == [38, 110])
            }
        }
    }

    /// haproxy's log names only the instance that answered.
    @Test(arguments: [RouterUnderTest.Kind.nginx])
    func anInstanceThatRefusesIsCharged(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.green], port: backend) {
            try await withRouter(kind) { router in
                try await router.put(route(backend))
                let mark = try await router.router.trafficMark()
                #expect(try await router.ask(40, "shop.localhost") == ["green": 40])
                let seen = try await traffic(router.router, since: mark, of: 41)
                #expect(seen[0].errors > 0 && seen[0].errors == seen[0].requests)
                #expect(seen[1].requests == 40 && seen[1].errors == 0)
            }
        }
    }

    /// A former version's requests are still its own when its route and its addresses have passed to others.
    @Test(arguments: RouterUnderTest.Kind.allCases)
    func addressesThatPassedOnAreToldApart(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue, Self.green], port: backend) {
            try await withRouter(kind) { router in
                var route = route(backend)
                let mark = try await router.router.trafficMark()
                try await router.put(route)
                _ = try await router.ask(40, "shop.localhost")
                route.deployment = "newer"
                route.previous?.deployment = "new"
                try await router.put(route)
                _ = try await router.ask(80, "shop.localhost")
                let seen = try await traffic(router.router, since: mark, of: 120)
                #expect(seen.map(\.deployment) == ["newer", "new", "old"])
                #expect(seen.map(\.requests) == [40, 60, 20])
            }
        }
    }

    @Test(arguments: [RouterUnderTest.Kind.nginx])
    func aMarkSurvivesARotation(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue, Self.green], port: backend) {
            try await withRouter(kind, logLimit: 500) { router in
                try await router.put(route(backend))
                let mark = try await router.router.trafficMark()
                _ = try await router.ask(40, "shop.localhost")
                _ = try await traffic(router.router, since: mark, of: 40)
                try await router.router.rotateLogs()
                #expect(try await eventually { FileManager.default.fileExists(atPath: router.folder.appending("traffic.log").string) })
                _ = try await router.ask(40, "shop.localhost")
                #expect(try await traffic(router.router, since: mark, of: 80).map(\.requests) == [40, 40])
                let again = try router.again()
                #expect(try await again.traffic(key: "shop/prod", since: mark).map(\.requests) == [40, 40])
                // Two later, the first log is gone: what was counted before is not.
                try await again.rotateLogs()
                #expect(try await eventually { FileManager.default.fileExists(atPath: router.folder.appending("traffic.log").string) })
                #expect(try await again.traffic(key: "shop/prod", since: mark).map(\.requests) == [40, 40])
                let logs = try FileManager.default.contentsOfDirectory(atPath: router.folder.string).filter { $0.hasPrefix("traffic.") }
                #expect(Set(logs) == ["traffic.log", "traffic.2.log", "traffic.lock"])
                #expect(try await again.trafficMark() == TrafficMark(log: 3, offset: 0))
            }
        }
    }

    /// Neither address, header nor method of a request reaches the log of requests as more than it is.
    @Test(arguments: RouterUnderTest.Kind.allCases)
    func noRequestForgesALine(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue, Self.green], port: backend) {
            try await withRouter(kind) { router in
                try await router.put(route(backend))
                let mark = try await router.router.trafficMark()
                let script = """
                    import socket, sys
                    line = "1|shop/prod|1|500|9.000|%s|500|9.000" % sys.argv[2]
                    other = "2|shop/prod|new|500|9000|9000|-- "
                    def send(raw):
                        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) as connection:
                            connection.sendall(raw); connection.settimeout(1)
                            try:
                                while connection.recv(4096): pass
                            except OSError: pass
                    end = "Host: shop.localhost\\r\\nConnection: close\\r\\n\\r\\n"
                    for forged in [line, other]:
                        for raw in [
                            "GET /%0A" + forged + "%0A HTTP/1.1\\r\\n" + end, "GET /\\n" + forged + "\\n HTTP/1.1\\r\\n" + end,
                            "GET / HTTP/1.1\\r\\nX-Slipway-Version: new\\n" + forged + "\\r\\n" + end,
                            "GET / HTTP/1.1\\r\\nCookie: slipway_version=\\n" + forged + "\\n\\r\\n" + end,
                            "GET / HTTP/1.1\\r\\nUser-Agent: a\\n" + forged + "\\r\\nReferer: " + forged + "\\r\\n" + end,
                            "GET / HTTP/1.1\\r\\nHost: shop.localhost\\n" + forged + "\\n\\r\\nConnection: close\\r\\n\\r\\n",
                            "GET / HTTP/1.1\\r\\nHost: shop.localhost|" + forged + "\\r\\nConnection: close\\r\\n\\r\\n",
                            forged + "\\r\\n" + end, "POST / HTTP/1.1\\r\\nContent-Length: 200\\r\\n" + end + "\\n" + forged + "\\n"]:
                            send(raw.encode())
                    """
                let result = try await Subprocess.run(
                    .name("python3"), arguments: ["-c", script, "\(router.port)", "\(Self.blue.address):\(backend)"],
                    output: .discarded, error: .string(limit: 4096))
                #expect(result.standardError == "")
                _ = try await router.ask(40, "shop.localhost")
                let seen = try await traffic(router.router, since: mark, of: 40)
                #expect(seen.map(\.errors) == [0, 0])
                #expect(seen.allSatisfy { ($0.latency.quantile(1) ?? 0) < 5 })
                #expect(Set(seen.map(\.deployment)) == ["new", "old"])
            }
        }
    }

    /// Impatient clients are no errors of a version; how long they waited is known.
    @Test(arguments: RouterUnderTest.Kind.allCases)
    func aClientThatGoesAwayIsNoError(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue, Self.green], port: backend) {
            try await withRouter(kind) { router in
                try await router.put(route(backend))
                let mark = try await router.router.trafficMark()
                for _ in 0..<4 {
                    _ = try await Subprocess.run(
                        .name("curl"),
                        arguments: ["-s", "-m", "2", "-H", "Host: shop.localhost", "http://127.0.0.1:\(router.port)/slow/10"],
                        output: .discarded, error: .discarded)
                }
                let seen = try await traffic(router.router, since: mark, of: 4)
                #expect(seen.map(\.requests) == [2, 2])
                #expect(seen.map(\.errors) == [0, 0])
                #expect(seen.allSatisfy { ($0.latency.quantile(0.5) ?? 0) > 1 && ($0.latency.quantile(1) ?? 9) < 8 }, "\(seen)")
            }
        }
    }
}

struct TrafficLineTests {
    let history = [
        RouteInstances(of: Route(key: "a/b", host: "a", upstreams: [Upstream(address: "10.0.0.1", port: 80)], deployment: "1"), since: 1),
        RouteInstances(
            of: Route(
                key: "a/b", host: "a", upstreams: [Upstream(address: "10.0.0.1", port: 80)], deployment: "2",
                previous: PreviousVersion(deployment: "1", upstreams: [Upstream(address: "fd00::2", port: 80)], share: 500)), since: 5),
    ]

    func attempts(_ line: String) -> [TrafficAttempt] {
        NginxTrafficLine().attempts(Array(line.utf8)[...], of: "a/b", history: history)
    }

    @Test func readsNginxLines() {
        #expect(attempts("1|a/b|4|200|0.010|10.0.0.1:80|200|0.009") == [TrafficAttempt(deployment: "1", failed: false, seconds: 0.009)])
        #expect(attempts("1|a/b|9|200|0.010|10.0.0.1:80|200|0.009") == [TrafficAttempt(deployment: "2", failed: false, seconds: 0.009)])
        #expect(
            attempts("1|a/b|9|503|0.010|10.0.0.1:80, [fd00::2]:80|502, 503|-, 0.009") == [
                TrafficAttempt(deployment: "2", failed: true, seconds: nil), TrafficAttempt(deployment: "1", failed: true, seconds: 0.009),
            ])
        #expect(
            attempts("1|a/b|9|200|0.010|10.0.0.1:80 : 10.0.0.1:80|200 : 200|0.001 : 0.002").map(\.seconds) == [0.001, 0.002])
        #expect(attempts("1|a/b|9|499|0.310|10.0.0.1:80|-|-") == [TrafficAttempt(deployment: "2", failed: false, seconds: 0.31)])
        #expect(attempts("1|a/b|9|504|30.0|10.0.0.1:80|504|-") == [TrafficAttempt(deployment: "2", failed: true, seconds: 30)])
        #expect(attempts("1|a/b|9|502|0.010|slipway_0|502|-").map(\.deployment) == [nil])
    }

    @Test(arguments: [
        "", "1", "1|a/b", "1|a/c|9|200|0.010|10.0.0.1:80|200|0.009", "2|a/b|9|200|0.010|10.0.0.1:80|200|0.009",
        "1|a/b|9|200|0.010|10.0.0.1:80|200|0.009|", "1|a/b|x|200|0.010|10.0.0.1:80|200|0.009", "1|a/b|9|200|0.010|10.0.0.1:80|200, 200|0.009",
    ])
    func passesOverOtherLines(line: String) { #expect(attempts(line).isEmpty) }

    func haproxyAttempts(_ line: String) -> [TrafficAttempt] {
        HAProxyTrafficLine().attempts(Array(line.utf8)[...], of: "a/b", history: [])
    }

    @Test func readsHAProxyLines() {
        #expect(haproxyAttempts("2|a/b|d1_10.0.0.1_80|200|--|1|8|12") == [TrafficAttempt(deployment: "d1", failed: false, seconds: 0.009)])
        #expect(haproxyAttempts("2|a/b|d1_10.0.0.1_80|200|--|1|8|12|7") == [TrafficAttempt(deployment: "d1", failed: false, seconds: 0.009)])
        #expect(haproxyAttempts("2|a/b|d_1_fd00::2_80|503|--|1|8|12") == [TrafficAttempt(deployment: "d_1", failed: true, seconds: 0.009)])
        // Refused, cut off in the middle, and late.
        #expect(haproxyAttempts("2|a/b|d1_10.0.0.1_80|503|SC|-1|-1|3") == [TrafficAttempt(deployment: "d1", failed: true, seconds: nil)])
        #expect(haproxyAttempts("2|a/b|d1_10.0.0.1_80|200|SD|0|9|12") == [TrafficAttempt(deployment: "d1", failed: true, seconds: 0.009)])
        #expect(haproxyAttempts("2|a/b|d1_10.0.0.1_80|504|sH|0|-1|30000") == [TrafficAttempt(deployment: "d1", failed: true, seconds: 30)])
        // The client went away.
        #expect(haproxyAttempts("2|a/b|d1_10.0.0.1_80|-1|CH|0|-1|310") == [TrafficAttempt(deployment: "d1", failed: false, seconds: 0.31)])
        for line in [
            "2|a/b|<NOSRV>|503|SC|-1|-1|3", "2|a/b|d1_10.0.0.1_80|200|--|1|8|12|", "2|a/b|d1_10.0.0.1_80|x|--|1|8|12", "2|a/b|",
            "2|a/c|d1_1_1|200|--|1|8|12",
        ] {
            #expect(haproxyAttempts(line).isEmpty, "\(line)")
        }
    }

    /// A log that cannot be begun anew loses its beginning, and keeps its offsets.
    @Test func trimsALogInPlace() async throws {
        try await withTemporaryFolder { folder in
            let counts = TrafficCounts(folder: folder, format: HAProxyTrafficLine())
            let path = folder.appending("traffic.log").string
            let line = "2|a/b|d1_10.0.0.1_80|200|--|1|8|12\n"
            let text = String(repeating: line, count: 40_000)
            try text.write(toFile: path, atomically: false, encoding: .utf8)
            let mark = try await counts.mark()
            #expect(mark == TrafficMark(log: 1, offset: Int64(text.utf8.count)))
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            _ = try file.seekToEnd()
            try file.write(contentsOf: Data((line + line).utf8))
            try await counts.trim(limit: 1 << 20)
            var status = stat()
            #expect(stat(path, &status) == 0 && Int(status.st_blocks) * 512 > 1_400_000)
            try await counts.trim(limit: 100_000)
            #expect(stat(path, &status) == 0 && Int(status.st_blocks) * 512 < 120_000)
            #expect(Int(status.st_size) == text.utf8.count + 2 * line.utf8.count)
            func requests(since mark: TrafficMark) async throws -> Int {
                try await counts.count(key: "a/b", since: mark) { RouteTable() }.reduce(0) { $0 + $1.requests }
            }
            let late = try await requests(since: mark)
            #expect(late == 2)
            let early = try await requests(since: TrafficMark(log: 1, offset: 0))
            #expect(early > 2500 && early < 3100)
        }
    }

    /// Whole lines only, however the file ends; and long ones do no harm.
    @Test func readsIncrementally() async throws {
        try await withTemporaryFolder { folder in
            let counts = TrafficCounts(folder: folder, format: NginxTrafficLine())
            let path = folder.appending("traffic.log").string
            let line = "1|a/b|9|200|0.010|10.0.0.1:80|200|0.009\n"
            var text = ""
            func expect(_ wanted: Int) async throws {
                try text.write(toFile: path, atomically: false, encoding: .utf8)
                let history = history
                let versions = try await counts.count(key: "a/b", since: TrafficMark(log: 1, offset: 0)) {
                    var table = RouteTable()
                    table.history["a/b"] = history
                    return table
                }
                #expect(versions.reduce(0) { $0 + $1.requests } == wanted)
            }
            try await expect(0)
            text += line + line + line.prefix(10)
            try await expect(2)
            text += line.dropFirst(10)
            try await expect(3)
            text += String(repeating: line, count: 20_000)
            try await expect(20_003)
            text += String(repeating: "x", count: 1 << 20) + "\n" + line
            try await expect(20_004)
        }
    }
}
