import Foundation
import FreePort
import Subprocess
import SystemPackage
import Testing

@testable import Deployer

/// Routes with two versions, through real routers and over several connections, so that every worker takes part.
@Suite(.serialized) struct TwoVersionTests {
    static let blue = (name: "blue", address: "127.0.0.11")
    static let greens = [(name: "green", address: "127.0.0.12"), (name: "green2", address: "127.0.0.13"), (name: "green3", address: "127.0.0.14")]

    func route(_ backend: Int, share: Int, greens: Int = 1, preview: String? = nil, pins: Bool? = nil) -> Route {
        Route(
            key: "shop/prod", host: "shop.localhost", upstreams: [Upstream(address: Self.blue.address, port: backend)], deployment: "new",
            previous: PreviousVersion(
                deployment: "old", upstreams: Self.greens.prefix(greens).map { Upstream(address: $0.address, port: backend) }, share: share),
            preview: preview, pins: pins)
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func splitsExactlyWhateverTheNumbersOfInstances(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue] + Self.greens, port: backend) {
            try await withRouter(kind) { router in
                for (share, greens) in [(950, 1), (950, 2), (750, 2), (750, 3), (500, 1), (1, 1), (999, 2)] {
                    try await router.put(route(backend, share: share, greens: greens))
                    let seen = try await router.ask(2000, "shop.localhost")
                    let own = Double(seen["blue"] ?? 0) / 2000
                    // A hundredth of the share itself, or a request or two; less than a request in 256 is too little for haproxy.
                    let allowed = (50...950).contains(share) ? max(0.01 * Double(1000 - share) / 1000, 0.001) : 0.01
                    #expect(abs(own - Double(1000 - share) / 1000) <= allowed, "\(share) \(greens): \(seen)")
                    #expect(seen.values.reduce(0, +) == 2000 && seen.keys.allSatisfy { $0 == "blue" || $0.hasPrefix("green") }, "\(seen)")
                    #expect(seen.keys.count { $0.hasPrefix("green") } == greens)
                }
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func clientsChooseAVersionWhereTheyMay(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue] + Self.greens, port: backend) {
            try await withRouter(kind) { router in
                try await router.put(route(backend, share: 500, pins: true))
                for headers in [
                    ["X-Slipway-Version": "new"], ["Cookie": "a=b; slipway_version=new"],
                    ["X-Slipway-Version": "new", "Cookie": "slipway_version=old"],
                ] {
                    #expect(try await router.ask(40, "shop.localhost", headers: headers) == ["blue": 40], "\(headers)")
                }
                for headers in [["X-Slipway-Version": "old"], ["Cookie": "slipway_version=old"]] {
                    #expect(try await router.ask(40, "shop.localhost", headers: headers) == ["green": 40], "\(headers)")
                }
                // Everything else is split, and so is everything where nobody may choose.
                for headers in [["X-Slipway-Version": "other"], ["Cookie": "slipway_version=newer"]] {
                    #expect(try await router.ask(40, "shop.localhost", headers: headers) == ["blue": 20, "green": 20], "\(headers)")
                }
                try await router.put(route(backend, share: 500))
                #expect(try await router.ask(40, "shop.localhost", headers: ["X-Slipway-Version": "new"]) == ["blue": 20, "green": 20])
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func thePreviewReachesTheNewVersionOnly(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue] + Self.greens, port: backend) {
            try await withRouter(kind) { router in
                try await router.put(route(backend, share: 1000, preview: "preview.shop.localhost", pins: true))
                #expect(try await router.ask(40, "shop.localhost") == ["green": 40])
                #expect(try await router.ask(40, "shop.localhost", headers: ["X-Slipway-Version": "new"]) == ["green": 40])
                #expect(try await router.ask(40, "preview.shop.localhost") == ["blue": 40])
                var alone = route(backend, share: 1000, preview: "preview.shop.localhost")
                alone.previous = nil
                try await router.put(alone)
                #expect(try await router.ask(40, "shop.localhost") == ["blue": 40])
                #expect(try await router.ask(40, "preview.shop.localhost") == ["blue": 40])
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func anInstanceThatRefusesIsLeftOut(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([Self.blue], port: backend) {
            try await withRouter(kind) { router in
                // Nobody listens on the addresses of the other version.
                try await router.put(route(backend, share: 500, greens: 2))
                #expect(try await router.ask(200, "shop.localhost") == ["blue": 200])
            }
        }
    }

    /// Long-lived connections outlast a change of routes, and end when their drain time is over.
    @Test(arguments: RouterUnderTest.Kind.allCases)
    func anUpgradedConnectionLivesUntilItsDrainTime(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(Self.greens, port: backend) {
            try await withRouter(kind, workerShutdown: .seconds(1)) { router in
                let state = router.folder.removingLastComponent().appending("echoed").string
                try await withUpgrades(Self.blue.address, port: backend, through: router.port, state: state) {
                    var first = route(backend, share: 1000)
                    first.previous = nil
                    first.drainSeconds = 20
                    try await router.put(first)
                    func echoed() -> Int { (try? String(contentsOfFile: state, encoding: .utf8)).flatMap { Int($0) } ?? 0 }
                    #expect(try await eventually(20) { echoed() > 3 })
                    var second = first
                    second.upstreams = [Upstream(address: Self.greens[0].address, port: backend)]
                    second.deployment = "next"
                    let generation = try await router.router.apply(second, by: RouteFence(deployment: "next", number: 2, epoch: 1))
                    try await router.router.confirm(generation)
                    #expect(try await router.get("shop.localhost").1 == "green")
                    let before = echoed()
                    #expect(try await eventually(20) { echoed() > before + 1 })
                    #expect(try await router.router.drained(before: generation) == false)
                    // Its end is what the drain time says, not what the settings say.
                    #expect(try await eventually(60) { echoed() < 0 })
                    #expect(try await eventually { try await router.router.drained(before: generation) })
                }
            }
        }
    }

    /// A server that upgrades every connection and echoes, and a client of it through the router. `state` holds how many echoes came
    /// back, and -1 when the connection has ended.
    func withUpgrades(_ address: String, port: Int, through router: Int, state: String, _ body: @Sendable () async throws -> Void) async throws {
        let script = """
            import sys, time, socket, threading, os, base64, hashlib
            address, port, router, state = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
            listener = socket.create_server((address, port))
            def serve(connection):
                data = b""
                while b"\\r\\n\\r\\n" not in data:
                    more = connection.recv(4096)
                    if not more: return
                    data += more
                key = [l.split(b":")[1].strip() for l in data.split(b"\\r\\n") if l.lower().startswith(b"sec-websocket-key")][0]
                accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
                    b"Sec-WebSocket-Accept: " + accept + b"\\r\\n\\r\\n")
                while True:
                    data = connection.recv(4096)
                    if not data: return
                    connection.sendall(data)
            def accept():
                while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            def note(number):
                with open(state + ".new", "w") as file: file.write(str(number))
                os.rename(state + ".new", state)
            def client():
                while True:
                    try:
                        connection = socket.create_connection(("127.0.0.1", router))
                        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: shop.localhost\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
                            b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n")
                        if connection.recv(4096).startswith(b"HTTP/1.1 101"): break
                    except OSError: pass
                    time.sleep(0.1)
                count = 0
                try:
                    while True:
                        connection.sendall(b"x")
                        if connection.recv(1) != b"x": break
                        count += 1
                        note(count)
                        time.sleep(0.05)
                except OSError: pass
                note(-1)
            for work in [accept, client]: threading.Thread(target=work, daemon=True).start()
            sys.stdin.read()
            """
        _ = try await Subprocess.run(
            .name("python3"), arguments: ["-c", script, address, "\(port)", "\(router)", state], input: .inputWriter,
            output: .discarded, error: .discarded
        ) { execution in
            try await body()
            try await execution.standardInputWriter.finish()
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func anUnchangedRouteIsNotReloaded(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router in
            let wanted = route(1, share: 250, greens: 3, preview: "preview.localhost", pins: true)
            try await router.put(wanted)
            let workers = router.workers()
            #expect(!workers.isEmpty)
            try await router.put(wanted)
            try await router.router.fence("shop/prod", by: RouteFence(deployment: "new", number: 1, epoch: 2))
            #expect(router.workers() == workers)
        }
    }

    @Test func thePreviousConfigurationIsKept() async throws {
        try await withRouter(.nginx) { router in
            try await router.put(route(1, share: 250))
            let first = try String(contentsOfFile: router.folder.appending("nginx.conf").string, encoding: .utf8)
            try await router.put(route(1, share: 300))
            #expect(try String(contentsOfFile: router.folder.appending("nginx.conf.previous").string, encoding: .utf8) == first)
        }
    }

    /// Weights and the generation are told to the haproxy that runs.
    @Test func haproxyChangesSharesWithoutAReload() async throws {
        let backend = try freePort()
        try await withServers([Self.blue] + Self.greens, port: backend) {
            try await withRouter(.haproxy) { router in
                try await router.put(route(backend, share: 900, greens: 2))
                let workers = router.workers()
                #expect(workers.count == 1)
                for share in [750, 500, 1000, 40] {
                    try await router.put(route(backend, share: share, greens: 2))
                    #expect(try await router.get(GenerationPage.host).1 == "\(try await router.router.generation)\n")
                    let seen = try await router.ask(400, "shop.localhost")
                    #expect(abs(Double(seen["blue"] ?? 0) / 400 - Double(1000 - share) / 1000) <= 0.01, "\(share): \(seen)")
                }
                #expect(router.workers() == workers)
                // What was told is also what a new worker starts with.
                let master = try #require(router.master())
                kill(master, SIGUSR2)
                #expect(try await eventually { router.workers().count == 1 && router.workers() != workers })
                let seen = try await router.ask(400, "shop.localhost")
                #expect(abs(Double(seen["blue"] ?? 0) / 400 - 0.96) <= 0.01, "\(seen)")
            }
        }
    }

    /// An instance without a share has drained when its requests have ended.
    @Test func haproxyDrainsInstancesWithoutAReload() async throws {
        let backend = try freePort()
        try await withServers([Self.blue] + Self.greens, port: backend) {
            try await withRouter(.haproxy) { router in
                try await router.put(route(backend, share: 500))
                async let slow = router.ask(4, "shop.localhost", path: "/hold")
                #expect(try await eventually { await underWay(at: Self.blue.address, backend) == "4" })
                let back = route(backend, share: 1000)
                let generation = try await router.router.apply(back, by: RouteFence(deployment: "new", number: 1, epoch: 1))
                try await router.router.confirm(generation)
                #expect(try await router.router.drained(before: generation) == false)
                _ = try await router.get("shop.localhost", "/release")
                #expect(try await slow["blue"] == 2)
                #expect(try await eventually { try await router.router.drained(before: generation) })
            }
        }
    }

    /// How many requests wait, at all servers together.
    func underWay(at address: String, _ port: Int) async -> String? {
        let answer = try? await testProbe.get(ProbeQuestion(address: address, port: port, path: "/busy", timeout: .seconds(10)))
        return answer.map { String(decoding: $0.body, as: UTF8.self) }
    }

    /// Whoever changes the kind of router keeps the routes; the one before finishes what it has.
    @Test func anotherKindTakesTheRoutesOver() async throws {
        let backend = try freePort()
        try await withServers([Self.blue] + Self.greens, port: backend) {
            try await withRouter(.nginx) { nginx in
                try await nginx.put(route(backend, share: 1000))
                let settings = RouterSettings(listenPort: nginx.port, program: "haproxy", workerShutdown: .seconds(5))
                let haproxy = try HAProxyRouter(folder: nginx.folder, settings: settings, probe: testProbe)
                try await haproxy.start()
                #expect(haproxy.process.master() != nil)
                #expect(try await eventually { nginx.master() == nil })
                #expect(try await nginx.get("shop.localhost").1 == "green")
                let none = try NoRouter(folder: nginx.folder, probe: testProbe)
                try await none.start()
                #expect(try await eventually { haproxy.process.master() == nil })
                #expect(try await none.currentRoute(key: "shop/prod") == route(backend, share: 1000))
            }
        }
    }

    @Test func withoutARouterRoutesAreFencedAllTheSame() async throws {
        try await withTemporaryFolder { folder in
            let router = try NoRouter(folder: folder.appending("router"), probe: testProbe)
            try await router.start()
            let fence = RouteFence(deployment: "new", number: 2, epoch: 1)
            let generation = try await router.apply(route(1, share: 500), by: fence)
            try await router.confirm(generation)
            #expect(try await router.drained(before: generation))
            let stale = RouteFence(deployment: "old", number: 1, epoch: 9)
            await #expect { try await router.apply(route(1, share: 400), by: stale) } throws: { error in
                (error as? DeployerError)?.code == .staleHolder
            }
            #expect(try await router.routes() == [route(1, share: 500)])
            #expect(try await router.traffic(key: "shop/prod", since: try await router.trafficMark()).isEmpty)
            #expect(try await router.deployments() == ["new"])
        }
    }
}

extension Router {
    /// What the router's table says.
    fileprivate var generation: Int {
        get async throws {
            guard let daemon = self as? any DaemonRouter else { return 0 }
            return try await daemon.currentGeneration().number
        }
    }
}
