import Foundation
import Testing

@testable import Deployer

struct RouteTableTests {
    let route = Route(
        key: "a/b", host: "a.localhost", upstreams: [Upstream(address: "10.0.0.1", port: 80)], deployment: "2",
        previous: PreviousVersion(deployment: "1", upstreams: [Upstream(address: "10.0.0.2", port: 80)], share: 900),
        preview: "p.localhost", pins: true, drainSeconds: 30)

    @Test func readsTablesOfOlderServers() throws {
        let old = """
            {"version": 1, "generation": 7, "replaced": {}, "routes": {"a/b": {"key": "a/b", "host": "a.localhost", "deployment": "1",
             "upstreams": [{"address": "10.0.0.1", "port": 80, "weight": 1}]}}}
            """
        let table = try JSONDecoder().decode(RouteTable.self, from: Data(old.utf8))
        #expect(table.routes["a/b"] == Route(key: "a/b", host: "a.localhost", upstreams: [Upstream(address: "10.0.0.1", port: 80)], deployment: "1"))
        #expect(table.history["a/b"]?.first?.deployments == ["10.0.0.1:80": "1"])
        #expect(try JSONDecoder().decode(RouteTable.self, from: JSONEncoder().encode(table)) == table)
    }

    @Test func olderServersReadOurs() throws {
        /// What a server knew before there were versions.
        struct OldRoute: Decodable { var key: String, host: String, upstreams: [Upstream], deployment: String }
        let seen = try JSONDecoder().decode(OldRoute.self, from: JSONEncoder().encode(route))
        #expect(seen.host == "a.localhost" && seen.upstreams == route.upstreams && seen.deployment == "2")
    }

    @Test func remembersWhoseInstancesWere() throws {
        var table = try RouteTable().setting(route)
        #expect(table.history["a/b"] == [RouteInstances(of: route, since: 1)])
        #expect(table.history["a/b"]?.last?.deployments == ["10.0.0.1:80": "2", "10.0.0.2:80": "1"])
        // Another share is no other owner.
        var next = route
        next.previous?.share = 500
        table = try table.setting(next)
        #expect(table.generation == 2 && table.history["a/b"]?.count == 1)
        for number in 0..<100 {
            next.upstreams[0].port = 100 + number
            table = try table.setting(next)
        }
        #expect(table.history["a/b"]?.count == RouteInstances.kept)
        #expect(table.history["a/b"]?.last?.since == 102)
        #expect(table.removing(key: "a/b").history.isEmpty)
    }

    @Test func aHostOrPreviewBelongsToOneRoute() throws {
        let table = try RouteTable().setting(route)
        for (host, preview) in [("a.localhost", nil), ("p.localhost", nil), ("c.localhost", "a.localhost"), ("c.localhost", "p.localhost")]
            as [(String, String?)]
        {
            let other = Route(key: "c/d", host: host, upstreams: [Upstream(address: "10.0.0.9", port: 80)], deployment: "9", preview: preview)
            #expect { try table.setting(other) } throws: { error in
                (error as? DeployerError)?.code == .hostTaken && "\(error)".contains("already belongs to a/b")
            }
        }
    }

    @Test func sharesBecomeWholeWeights() {
        func weights(_ share: Int, new: [Int], old: [Int]) -> [Int] {
            RouteShares.weights(
                Route(
                    key: "a", host: "a", upstreams: new.map { Upstream(address: "10.0.0.1", port: 80, weight: $0) },
                    previous: PreviousVersion(
                        deployment: "1", upstreams: old.map { Upstream(address: "10.0.0.2", port: 80, weight: $0) }, share: share))
            ).map(\.weight)
        }
        #expect(weights(950, new: [1], old: [1]) == [1, 19])
        #expect(weights(950, new: [1, 1], old: [1, 1, 1]) == [3, 3, 38, 38, 38])
        #expect(weights(999, new: [1], old: [1]) == [1, 999])
        #expect(weights(1000, new: [1, 1], old: [1, 3]) == [1, 3])
        #expect(weights(500, new: [1, 3], old: [2]) == [1, 3, 4])
    }

    /// Where weights go up to 256 the share of a version is right to less than a hundredth, whatever the numbers of instances.
    @Test func sharesFitWhatARouterCanDo() {
        for (new, old) in [(1, 1), (3, 2), (10, 1), (1, 10), (100, 1), (1, 100), (60, 70)] {
            for share in [1, 3, 50, 333, 500, 990, 999, 1000] {
                let route = Route(
                    key: "a", host: "a", upstreams: (0..<new).map { Upstream(address: "10.0.0.\($0)", port: 80) },
                    previous: PreviousVersion(
                        deployment: "1", upstreams: (0..<old).map { Upstream(address: "10.0.1.\($0)", port: 80, weight: 1 + $0 % 3) }, share: share))
                let weights = RouteShares.weights(route, most: 256).map(\.weight)
                #expect(weights.count == new + old && weights.allSatisfy { (0...256).contains($0) })
                let total = weights.reduce(0, +)
                let own = weights.prefix(new).reduce(0, +)
                #expect(abs(Double(own) / Double(total) - Double(1000 - share) / 1000) < 0.005, "\(new) \(old) \(share): \(own) of \(total)")
                #expect((own == 0) == (share == 1000) && own < total)
            }
        }
    }

    /// haproxy takes its turns the more exactly the larger the weights are: 2, 3 and 3 give 24.4 %, 170, 255 and 255 give 25 %.
    @Test func weightsAreAsLargeAsARouterCanDo() {
        func weights(_ share: Int, new: Int, old: Int) -> [Int] {
            func upstreams(_ count: Int, _ net: Int) -> [Upstream] { (0..<count).map { Upstream(address: "10.0.\(net).\($0)", port: 80) } }
            let before = PreviousVersion(deployment: "1", upstreams: upstreams(old, 1), share: 1000 - share)
            return RouteShares.weights(Route(key: "a", host: "a", upstreams: upstreams(new, 0), previous: before), most: 256).map(\.weight)
        }
        #expect(weights(250, new: 1, old: 2) == [170, 255, 255])
        #expect(weights(50, new: 1, old: 1) == [13, 247])
        #expect(weights(10, new: 1, old: 2) == [5, 248, 247])
        #expect(weights(500, new: 2, old: 2) == [256, 256, 256, 256])
        #expect(weights(1, new: 1, old: 1) == [1, 256])
        for share in 10...990 {
            for (new, old) in [(1, 1), (1, 2), (2, 2), (4, 4)] {
                let found = weights(share, new: new, old: old)
                let own = Double(found.prefix(new).reduce(0, +))
                let part = Double(share) / 1000
                let smaller = min(part, 1 - part)
                #expect(abs(own / Double(found.reduce(0, +)) - part) < 0.003 * smaller + 0.0001, "\(share) \(new) \(old): \(found)")
            }
        }
    }
}
