import DeliveryModel
import Foundation
import Testing

struct HealthCheckTests {
    /// As releases keep it, and as digests of configurations are made of it.
    private static let usual = #"{"grace":20,"healthy":2,"interval":1,"path":"\/healthz","timeout":2}"#

    private func text(_ health: HealthCheck) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(health), as: UTF8.self)
    }

    @Test func whatIsUsualIsWrittenAsEver() throws {
        let health = HealthCheck(path: "/healthz", grace: 20)
        #expect(try JSONDecoder().decode(HealthCheck.self, from: Data(Self.usual.utf8)) == health)
        #expect(try text(health) == Self.usual)
    }

    @Test(arguments: [
        HealthCheck.Probe.http(.init(path: "/a", status: [200...204, 404...404], body: "x", headers: ["Host": "a.b"])), .tcp(port: 5432),
        .command(["a", "-b"]), .none,
    ])
    func everyProbeSurvivesJSON(probe: HealthCheck.Probe) throws {
        let health = HealthCheck(probe, unhealthy: 5)
        #expect(try JSONDecoder().decode(HealthCheck.self, from: Data(try text(health).utf8)) == health)
    }
}
