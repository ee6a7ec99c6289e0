import DeliveryModel
import FreePort
import Testing

@testable import Deployer

/// Hosts that several routes share by paths, through real routers.
@Suite(.serialized) struct PathTests {
    static let servers = ["web", "api", "apiV2", "old", "cart"].enumerated().map { (name: $0.element, address: "127.0.0.\(21 + $0.offset)") }

    func route(
        _ name: String, _ backend: Int, paths: [String] = [], strip: Bool = false, legacy: String? = nil, host: String = "shop.localhost"
    ) -> Route {
        func upstream(_ name: String) -> Upstream {
            Upstream(address: Self.servers.first { $0.name == name }?.address ?? "", port: backend)
        }
        return Route(
            key: "shop/\(name)/prod", host: host, scope: RouteScope(paths: paths, stripPrefix: strip, legacy: legacy.map(upstream)),
            upstreams: [upstream(name)], deployment: name)
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func theLongestPathCounts(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(Self.servers, port: backend) { () async throws -> Void in
            try await withRouter(kind) { router in
                func answer(_ path: String) async throws -> String {
                    let (status, body) = try await router.get("shop.localhost", path)
                    return status == 200 ? body : "\(status)"
                }
                try await router.put(route("api", backend, paths: ["/api"]))
                #expect(try await answer("/api") == "api")
                #expect(try await answer("/") == "404")
                try await router.put(route("web", backend))
                try await router.put(route("apiV2", backend, paths: ["/api/v2.0", "/beta"], strip: true))
                for (path, name) in [
                    ("/", "web"), ("/api", "api"), ("/api/", "api"), ("/api?a=b", "api"), ("/api/x", "api"), ("/apix", "web"), ("/api/v2", "api"),
                    ("/api/v2.0", "apiV2"), ("/api/v2.0/x", "apiV2"), ("/api/v2x0/x", "api"), ("/beta", "apiV2"), ("/betas", "web"),
                ] {
                    #expect(try await answer(path) == name, "\(path)")
                }
                // Which of them came first does not matter; one that goes leaves its paths to the shorter.
                try await router.router.remove(key: "shop/api/prod", by: RouteFence(deployment: "api", number: 1, epoch: 1))
                try await router.router.confirm(
                    try await router.router.apply(route("web", backend), by: .init(deployment: "web", number: 1, epoch: 1)))
                #expect(try await answer("/api/x") == "web")
                #expect(try await answer("/api/v2.0/x") == "apiV2")
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func aPrefixIsTakenAway(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(Self.servers, port: backend) { () async throws -> Void in
            try await withRouter(kind) { router in
                try await router.put(route("api", backend, paths: ["/a.b/c"], strip: true))
                for (path, seen) in [
                    ("/a.b/c?where", "/?where"), ("/a.b/c/?where", "/?where"), ("/a.b/c/d/where", "/d/where"),
                    ("/a.b/c/d?where=/a.b/c", "/d?where=/a.b/c"), ("/a.b/c/a.b/c/where", "/a.b/c/where"),
                ] {
                    #expect(try await router.get("shop.localhost", path).1 == "\(seen) /a.b/c", "\(path)")
                }
                // Two versions, one of which is chosen.
                var both = route("api", backend, paths: ["/a.b/c"], strip: true)
                both.previous = PreviousVersion(deployment: "before", upstreams: [Upstream(address: "127.0.0.29", port: backend)], share: 1)
                both.pins = true
                both.preview = "next.localhost"
                try await router.put(both)
                #expect(
                    try await router.ask(8, "shop.localhost", path: "/a.b/c/where", headers: ["X-Slipway-Version": "new"]) == ["/where /a.b/c": 8])
                #expect(try await router.ask(8, "next.localhost", path: "/a.b/c/where") == ["/where /a.b/c": 8])
                // Without it nothing is told, also when a client says so.
                try await router.put(route("api", backend, paths: ["/a.b"]))
                #expect(
                    try await router.ask(4, "shop.localhost", path: "/a.b/where", headers: ["X-Forwarded-Prefix": "/x"]) == ["/a.b/where None": 4])
            }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func theRestOfAHostStaysWithTheOldApplication(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers(Self.servers, port: backend) { () async throws -> Void in
            try await withRouter(kind) { router in
                var moved = route("cart", backend, paths: ["/cart", "/checkout"], legacy: "old")
                moved.previous = PreviousVersion(deployment: "before", upstreams: [Upstream(address: "127.0.0.21", port: backend)], share: 500)
                moved.preview = "next.localhost"
                try await router.put(moved)
                try await router.put(route("api", backend, paths: ["/api"]))
                let mark = try await router.router.trafficMark()
                #expect(try await router.ask(40, "shop.localhost", path: "/cart/3") == ["cart": 20, "web": 20])
                #expect(try await router.ask(40, "shop.localhost", path: "/") == ["old": 40])
                #expect(try await router.ask(40, "shop.localhost", path: "/carts") == ["old": 40])
                #expect(try await router.ask(40, "shop.localhost", path: "/api") == ["api": 40])
                #expect(try await router.ask(40, "next.localhost", path: "/checkout") == ["cart": 40])
                #expect(try await router.ask(40, "next.localhost", path: "/") == ["old": 40])
                // What the old one answered counts for nobody.
                #expect(
                    try await eventually {
                        try await router.router.traffic(key: moved.key, since: mark).map { "\($0.deployment) \($0.requests)" }.sorted()
                            == ["before 20", "cart 20"]
                    })
                let (status, headers) = try await router.get("shop.localhost", "/echo")
                #expect(status == 200 && headers.lowercased().contains("host: shop.localhost"))
            }
        }
    }

    @Test func whoHasAPathIsTold() throws {
        func refusal(_ table: RouteTable, _ route: Route) -> String? {
            do { _ = try table.setting(route) } catch { return "\(error.code): \(error.message)" }
            return nil
        }
        let table = try RouteTable().setting(route("cart", 1, paths: ["/cart"], legacy: "old"))
        #expect(refusal(table, route("api", 1, paths: ["/api"])) == nil)
        #expect(
            refusal(table, route("api", 1, paths: ["/cart"]))
                == "hostTaken: shop.localhost/cart already belongs to shop/cart/prod (project/pipeline/stage)")
        #expect(
            refusal(table, route("web", 1))
                == "hostTaken: shop.localhost, but for paths that others name, already belongs to shop/cart/prod, by its 'legacy' (project/pipeline/stage)"
        )
        #expect(refusal(table, route("web", 1, host: "other.localhost")) == nil)
        for path in ["api", "/", "/api/", "/a//b", "/a/../b", "/a b", "/a;b", "/é"] {
            #expect(refusal(table, route("api", 1, paths: [path]))?.hasPrefix("invalidValue") == true, "\(path)")
        }
        #expect(refusal(table, route("api", 1, strip: true, host: "b.localhost"))?.hasPrefix("invalidValue") == true)
    }
}
