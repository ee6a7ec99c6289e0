import Testing

@testable import Deployer

struct RouteValidationTests {
    @Test(arguments: ["shop.localhost", "a", "x-1.example.org", "127.0.0.1.nip.io"])
    func goodHost(host: String) { #expect(RouteValidation.isHostName(host)) }

    @Test(arguments: [
        "", ".", "a..b", "-a.b", "a-.b", "Shop.localhost", "a b", "a;b", "a\n", "a{", "_slipway_generation", "*.a", "~a", "a:80",
        "ü.de", "$host", "a\u{0}", String(repeating: "a", count: 64),
    ])
    func badHost(host: String) { #expect(!RouteValidation.isHostName(host)) }

    @Test(arguments: ["127.0.0.1", "10.1.2.3", "::1", "fd00::2"])
    func goodAddress(address: String) { #expect(RouteValidation.isAddress(address)) }

    @Test(arguments: ["", "localhost", "1.2.3", "1.2.3.4;", "1.2.3.4 backup", "fe80::1%eth0", "[::1]", "1.2.3.4\u{0}x", "unix:/x"])
    func badAddress(address: String) { #expect(!RouteValidation.isAddress(address)) }

    @Test func portsAndWeightsAndKeys() {
        let good = Route(key: "a/b", host: "a", upstreams: [Upstream(address: "::1", port: 80)])
        #expect(throws: Never.self) { try RouteValidation.check(good) }
        for change: (inout Route) -> Void in [
            { $0.upstreams = [] }, { $0.upstreams[0].port = 0 }, { $0.upstreams[0].port = 65536 },
            { $0.upstreams[0].weight = 0 }, { $0.key = "a b" }, { $0.key = "" },
        ] {
            var route = good
            change(&route)
            #expect(throws: DeployerError.self) { try RouteValidation.check(route) }
        }
    }

    @Test func twoVersions() {
        let good = Route(
            key: "a/b", host: "a", upstreams: [Upstream(address: "10.0.0.1", port: 80)], deployment: "d2",
            previous: PreviousVersion(deployment: "d1", upstreams: [Upstream(address: "10.0.0.2", port: 80)], share: 1000), preview: "p.a",
            pins: true, drainSeconds: 10)
        #expect(throws: Never.self) { try RouteValidation.check(good) }
        for change: (inout Route) -> Void in [
            { $0.previous?.share = 0 }, { $0.previous?.share = 1001 }, { $0.previous?.upstreams = [] },
            { $0.previous?.upstreams = $0.upstreams }, { $0.previous?.upstreams[0].address = "old.example.org" }, { $0.preview = "a" },
            { $0.preview = "P" }, { $0.preview = "" }, { $0.drainSeconds = -1 }, { $0.drainSeconds = .nan }, { $0.drainSeconds = .infinity },
            { $0.deployment = "a b" }, { $0.deployment = "a|b" }, { $0.previous?.deployment = "a\nb" },
        ] {
            var route = good
            change(&route)
            #expect(throws: DeployerError.self) { try RouteValidation.check(route) }
        }
    }
}
