import ContainerRuntime
import Foundation
import FreePort
import Subprocess
import SystemPackage
import Testing

@testable import Deployer

/// Runs real routers; needs the Debian packages nginx-light and haproxy, and python3 for the servers behind them.
@Suite(.serialized) struct RouterTests {
    let servers = [("blue", "127.0.0.11"), ("green", "127.0.0.12"), ("third", "127.0.0.13")]

    func withRouter<R: Sendable>(
        _ kind: RouterUnderTest.Kind, _ body: @escaping @Sendable (any DaemonRouter, FilePath, Int) async throws -> R
    ) async throws -> R {
        try await DeployerTests.withRouter(kind) { tested in
            try await body(try #require(tested.router as? any DaemonRouter), tested.folder.removingLastComponent(), tested.port)
        }
    }

    func get(_ port: Int, _ host: String, _ path: String = "/") async throws -> (Int, String) {
        let answer = try await testProbe.get(
            ProbeQuestion(address: "127.0.0.1", port: port, path: path, host: host, timeout: .seconds(60)))
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    func route(_ address: String, port: Int, host: String = "shop.localhost", key: String = "shop/prod") -> Route {
        Route(key: key, host: host, upstreams: [Upstream(address: address, port: port)], deployment: address)
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func servesAndSwitchesAndIsFoundAgain(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(servers, port: backend) {
            try await withRouter(kind) { router, folder, port in
                let first = try await router.apply(route("127.0.0.11", port: backend))
                try await router.confirm(first)
                #expect(try await get(port, "shop.localhost").1 == "blue")
                #expect(try await get(port, "unknown.localhost").0 == 404)
                #expect(try await get(port, GenerationPage.host).1 == "1\n")
                // The same again changes nothing.
                #expect(try await router.apply(route("127.0.0.11", port: backend)) == first)

                // Another value on the same folder, as after a restart of the server: same nginx.
                let master = router.process.master()
                #expect(master != nil)
                let later = try router.again()
                try await later.start()
                #expect(later.process.master() == master)
                let second = try await later.apply(route("127.0.0.12", port: backend))
                #expect(second > first)
                try await later.confirm(second)
                for _ in 0..<10 { #expect(try await get(port, "shop.localhost").1 == "green") }
                #expect(later.process.master() == master)
                #expect(try await later.currentUpstreams(key: "shop/prod").map(\.address) == ["127.0.0.12"])
                #expect(try await eventually { try await later.drained(before: second) })

                let echoed = try await get(port, "shop.localhost", "/echo").1.lowercased()
                #expect(echoed.contains("host: shop.localhost"))
                #expect(echoed.contains("x-forwarded-for: 127.0.0.1"))
                #expect(echoed.contains("x-forwarded-proto: http"))

                try await later.remove(key: "shop/prod")
                #expect(try await eventually { try await get(port, "shop.localhost").0 == 404 })
                #expect(try await later.currentRoute(key: "shop/prod") == nil)
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func drainsOnlyWhenRequestsEnded(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(servers, port: backend) {
            try await withRouter(kind) { router, _, port in
                try await router.confirm(try await router.apply(route("127.0.0.11", port: backend)))
                async let slow = get(port, "shop.localhost", "/hold")
                let underWay = try await eventually {
                    let question = ProbeQuestion(
                        address: "127.0.0.11", port: backend, path: "/busy", timeout: .seconds(10))
                    return (try? await testProbe.get(question))?.body == [UInt8(ascii: "1")]
                }
                #expect(underWay)
                let next = try await router.apply(route("127.0.0.12", port: backend))
                try await router.confirm(next)
                #expect(try await get(port, "shop.localhost").1 == "green")
                #expect(try await router.drained(before: next) == false)
                _ = try await get(port, "shop.localhost", "/release")
                #expect(try await slow.1 == "blue")
                #expect(try await eventually { try await router.drained(before: next) })
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func losesNoRequestWhileSwitching(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(servers, port: backend) {
            try await withRouter(kind) { router, _, port in
                try await router.confirm(try await router.apply(route("127.0.0.11", port: backend)))
                async let fresh = load(port, keepAlive: false)
                async let kept = load(port, keepAlive: true)
                for number in 0..<6 {
                    let address = "127.0.0.\(11 + (number + 1) % 3)"
                    try await router.confirm(try await router.apply(route(address, port: backend)))
                }
                for result in try await [fresh, kept] {
                    #expect(result.failed == 0)
                    #expect(result.good > 50)
                    #expect(result.names >= 2)
                }
            }
        }
    }

    /// A change whose signal was lost with the server that was to send it is made good, and clients with kept connections move first.
    @Test(arguments: RouterUnderTest.Kind.allCases)
    func losesNoRequestWhileItConverges(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(servers, port: backend) {
            try await withRouter(kind) { router, _, port in
                let daemon = router.daemon
                try await router.confirm(try await router.apply(route("127.0.0.11", port: backend)))
                async let kept = load(port, keepAlive: true)
                for number in 0..<6 {
                    let table = try await daemon.load().setting(route("127.0.0.\(11 + (number + 1) % 3)", port: backend))
                    try table.save(daemon.routesFile)
                    try await daemon.serially { try await $0.converge() }
                    try await router.confirm(RouterGeneration(table.generation))
                }
                let result = try await kept
                #expect(result.failed == 0 && result.good > 50 && result.names >= 2, "\(result)")
            }
        }
    }

    struct Load: Decodable { var good: Int, failed: Int, names: Int, first: String }

    /// Four clients ask without pause for some seconds. Nothing is ever tried again: a lost answer is a failure.
    func load(_ port: Int, keepAlive: Bool, seconds: Double = 5, path: String = "") async throws -> Load {
        let script = """
            import sys, time, json, threading, http.client
            port, keep, seconds, path = int(sys.argv[1]), sys.argv[2] == "true", float(sys.argv[3]), sys.argv[4]
            good, failed, names, first = [0], [0], set(), []
            def work(number):
                end, connection = time.time() + seconds, None
                while time.time() < end:
                    try:
                        if connection is None:
                            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                        headers = {"Host": "shop.localhost"}
                        if not keep: headers["Connection"] = "close"
                        if path: connection.request("GET", path, headers=headers)
                        elif number % 2: connection.request("POST", "/", body=b"x" * 3000, headers=headers)
                        else: connection.request("GET", "/slow/0.02" if number == 2 else "/", headers=headers)
                        answer = connection.getresponse()
                        body = answer.read()
                        if answer.status == 200: good[0] += 1; names.add(body)
                        else: failed[0] += 1; first.append(str(answer.status))
                        if not keep or answer.will_close: connection.close(); connection = None
                    except Exception as error:
                        failed[0] += 1; first.append(repr(error)); connection = None
            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            for t in threads: t.start()
            for t in threads: t.join()
            print(json.dumps({"good": good[0], "failed": failed[0], "names": len(names), "first": "; ".join(first[:3])}))
            """
        let result = try await Subprocess.run(
            .name("python3"), arguments: ["-c", script, String(port), String(keepAlive), String(seconds), path],
            output: .string(limit: 4096), error: .discarded)
        let load = try JSONDecoder().decode(Load.self, from: Data(result.standardOutput.utf8))
        print("keep-alive \(keepAlive): \(load)")
        return load
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func twoRoutersCannotShareAPort(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router, folder, port in
            try await router.start()
            let other = try router.again(in: folder.appending("other"))
            await #expect { try await other.start() } throws: { error in
                (error as? DeployerError)?.code == .portTaken && "\(error)".contains("Address already in use")
            }
        }
    }

    @Test func namesThePackageOfAMissingRouter() async throws {
        try await withTemporaryFolder { folder in
            let settings = RouterSettings(listenPort: 1, program: "/nowhere/router")
            let nginx = try NginxRouter(folder: folder.appending("nginx"), settings: settings, probe: testProbe)
            let haproxy = try HAProxyRouter(folder: folder.appending("haproxy"), settings: settings, probe: testProbe)
            for (router, package) in [(nginx, "nginx-light"), (haproxy, "haproxy")] as [(any DaemonRouter, String)] {
                await #expect { try await router.start() } throws: { error in
                    (error as? DeployerError)?.code == .routerMissing && "\(error)".contains(package)
                }
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func keepsTheOldRoutesWhenTheNewOnesAreRefused(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router, _, _ in
            let first = try await router.apply(route("127.0.0.11", port: 1))
            await #expect { try await router.apply(route("127.0.0.12", port: 1, key: "other/prod")) } throws: { error in
                (error as? DeployerError)?.code == .hostTaken && "\(error)".contains("shop/prod")
            }
            await #expect(throws: DeployerError.self) { try await router.apply(route("evil; return 200", port: 1)) }
            #expect(try await router.currentGeneration() == first)
            // Another deployment's supervisor does not take a route over.
            #expect(try await router.refresh(route("127.0.0.12", port: 1)) == nil)
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func aPidThatBelongsToAnotherProgramIsNotOurs(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router, _, _ in
            try await router.start()
            let pidFile = router.folder.appending(kind == .nginx ? "nginx.pid" : "haproxy.pid").string
            let real = try String(contentsOfFile: pidFile, encoding: .utf8)
            try "\(getpid())\n".write(toFile: pidFile, atomically: true, encoding: .utf8)
            #expect(router.process.master() == nil)
            try real.write(toFile: pidFile, atomically: true, encoding: .utf8)
            #expect(router.process.master() != nil)
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func aChangeCutOffByACrashIsCarriedOut(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router, _, port in
            try await router.confirm(try await router.apply(route("127.0.0.11", port: 1)))
            // The routes were written, and the server was killed before nginx heard of it.
            let next = route("127.0.0.12", port: 1)
            let table = try await router.daemon.load().setting(next)
            try table.save(router.folder.appending("routes.json"))
            let again = try router.again()
            let generation = try await again.apply(next)
            #expect(generation.number == table.generation)
            try await again.confirm(generation)
            #expect(try await get(port, GenerationPage.host).1 == "\(table.generation)\n")
        }
    }

    /// Workers whose master was killed may serve on, with the port, until somebody tells them: nginx's do.
    @Test(arguments: RouterUnderTest.Kind.allCases, [true, false])
    func aKilledRouterComesBackWithItsRoutes(kind: RouterUnderTest.Kind, withWorkers: Bool) async throws {
        let backend = try freePort()
        try await withServers([("blue", "127.0.0.11")], port: backend) {
            try await withRouter(kind) { router, _, port in
                try await router.confirm(try await router.apply(route("127.0.0.11", port: backend)))
                let master = try #require(router.process.master())
                let workers = router.process.workers(of: master).map(\.pid)
                for pid in [master] + (withWorkers ? workers : []) { kill(pid, SIGKILL) }
                #expect(try await eventually { router.process.master() == nil })
                try await router.start()
                #expect(router.process.master() != nil)
                #expect(try await get(port, "shop.localhost").1 == "blue")
                #expect(try await eventually { workers.allSatisfy { kill($0, 0) != 0 } })
                let finding = await router.check()
                #expect(finding.ok, "\(finding)")
                #expect(finding.message.contains("generation 1"))
                try await router.confirm(try await router.apply(route("127.0.0.11", port: backend + 1)))
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func passesWebSocketsThrough(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([("blue", "127.0.0.11")], port: backend) {
            try await withRouter(kind) { router, _, port in
                try await router.confirm(try await router.apply(route("127.0.0.11", port: backend)))
                let result = try await Subprocess.run(
                    .name("curl"),
                    arguments: [
                        "-s", "--http1.1", "-H", "Host: shop.localhost", "-H", "Connection: Upgrade", "-H",
                        "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                        "http://127.0.0.1:\(port)/echo",
                    ], output: .string(limit: 4096), error: .discarded)
                #expect(result.standardOutput.lowercased().contains("connection: upgrade"))
                #expect(result.standardOutput.lowercased().contains("upgrade: websocket"))
            }
        }
    }

    func fence(_ number: Int64, _ epoch: Int64) -> RouteFence { RouteFence(deployment: "d\(number)", number: number, epoch: epoch) }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func whoeverWasTakenOverWritesNothingAnyMore(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router, _, _ in
            let first = try await router.apply(route("127.0.0.11", port: 1), by: fence(7, 1))
            try await router.fence("shop/prod", by: fence(7, 2))
            let later = try router.again()
            for stale in [fence(7, 1), fence(6, 9)] {
                for write in [
                    { _ = try await later.apply(route("127.0.0.12", port: 1), by: stale) },
                    { _ = try await later.refresh(route("127.0.0.11", port: 2), by: stale) },
                    { try await later.remove(key: "shop/prod", by: stale) }, { try await later.fence("shop/prod", by: stale) },
                ] as [@Sendable () async throws -> Void] {
                    await #expect { try await write() } throws: { error in
                        (error as? DeployerError)?.code == .staleHolder && "\(error)".contains("belongs to deployment d7, epoch 2")
                    }
                }
            }
            #expect(try await router.currentGeneration() == first)
            #expect(try await router.routes() == [route("127.0.0.11", port: 1)])
            // What was taken away stays fenced, until nobody knows the deployment any more.
            try await router.remove(key: "shop/prod", by: fence(7, 2))
            await #expect(throws: DeployerError.self) { try await later.apply(route("127.0.0.11", port: 1), by: fence(7, 1)) }
            #expect(try await later.deployments() == ["d7"])
            try await later.forget(deployment: "d7")
            #expect(try await router.deployments().isEmpty)
            _ = try await router.apply(route("127.0.0.11", port: 1), by: fence(1, 1))
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func aRouteIsFollowedOnlyFromWhatWasSeen(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router, _, _ in
            let seen = route("127.0.0.11", port: 1)
            _ = try await router.apply(seen)
            var moved = seen
            moved.upstreams = [Upstream(address: "127.0.0.11", port: 2)]
            #expect(try await router.replace(seen, with: moved) != nil)
            #expect(try await router.replace(seen, with: seen) == nil)
            #expect(try await router.replace(moved, with: route("127.0.0.12", port: 2)) == nil)
            #expect(try await router.routes() == [moved])
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func serversThatWriteAtTheSameTimeLoseNoRoute(kind: RouterUnderTest.Kind) async throws {
        try await withRouter(kind) { router, _, port in
            let other = try router.again()
            let both = [router, other]
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Also the first start of nginx.
                for (server, router) in both.enumerated() {
                    group.addTask {
                        for number in 0..<6 {
                            _ = try await router.apply(
                                route("127.0.0.11", port: 1, host: "s\(number).server\(server).localhost", key: "server\(server)/\(number)"))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await router.routes().count == 12)
            let generation = try await other.currentGeneration()
            #expect(generation.number == 12)
            try await router.confirm(generation)
            #expect(try await get(port, GenerationPage.host).1 == "12\n")
        }
    }
}

extension DaemonRouter {
    var process: any RouterProgram { daemon.program }
    var folder: FilePath { daemon.folder }

    /// Another value, as another server or a restarted one has it.
    func again(in folder: FilePath? = nil) throws -> any DaemonRouter {
        let folder = folder ?? daemon.folder
        if let process = process as? HAProxyProcess { return try HAProxyRouter(folder: folder, settings: process.settings, probe: testProbe) }
        guard let process = process as? NginxProcess else { throw Broken() }
        return try NginxRouter(folder: folder, settings: process.settings, probe: testProbe)
    }
}
