import DeliveryModel
import Testing

@testable import PipelineFile

@Suite struct HealthTests {
    private func service(_ text: String) throws -> ServiceDefinition? {
        try PipelineParser.parse("build: {image: a}\nservice: {\(text)}\nstages: [{name: x}]", file: "a.yaml").service
    }

    private func suggestions(_ text: String, stage: String = "{name: x}") -> [String] {
        let text = "build: {image: a}\nservice: {\(text)}\nstages: [\(stage)]"
        do { _ = try PipelineParser.parse(text, file: "a.yaml") } catch { return error.diagnostics.compactMap(\.suggestion) }
        return []
    }

    @Test(arguments: [
        ("port: 80", HealthCheck.Probe.http(.init())),
        ("port: 80, health: {path: /a}", .http(.init(path: "/a"))),
        ("port: 80, health: {status: 204}", .http(.init(status: [204...204]))),
        (
            "port: 80, health: {status: [200-299, 404], body: ready, headers: {Host: a.b, X-N: 1}}",
            .http(.init(status: [200...299, 404...404], body: "ready", headers: ["Host": "a.b", "X-N": "1"]))
        ),
        ("port: 80, health: {tcp: true}", .tcp(port: 80)), ("port: 80, health: {tcp: 81}", .tcp(port: 81)),
        ("health: {tcp: 81}", .tcp(port: 81)), ("health: {command: [a, -b]}", .command(["a", "-b"])),
        ("port: 80, health: {command: [a]}", .command(["a"])), ("replicas: 1", .none), ("health: {healthy: 3}", .none),
    ])
    func probesAreRead(text: String, probe: HealthCheck.Probe) throws {
        #expect(try service(text)?.health.probe == probe)
    }

    @Test func aWorkerHasNoHost() throws {
        let plan = try PipelineParser.parse("build: {image: a}\nservice: {replicas: 2}\nstages: [{name: x}]", file: "a.yaml")
        #expect(plan.service?.port == nil)
        #expect(plan.stages.first?.host == "")
        #expect(try service("health: {unhealthy: 7, tcp: 1}")?.health.unhealthy == 7)
    }

    @Test(arguments: [
        ("port: 80, health: {path: /, tcp: true}", "keep an HTTP request (path, status, body, headers), tcp or command"),
        ("port: 80, health: {tcp: true, command: [a]}", "keep an HTTP request (path, status, body, headers), tcp or command"),
        ("port: 80, health: {command: a -b}", "write [\"a\", \"-b\"]"), ("port: 80, health: {command: []}", "write [pg_isready, -q]"),
        ("health: {path: /}", "add `port` to service, or write health: {command: [...]}"),
        ("health: {tcp: true}", "add `port` to service, or write the port here: tcp: 5432"),
        ("port: 80, health: {status: 2xx}", "write 200, 200-299 or [200, 404]"),
        ("port: 80, health: {status: 299-200}", "write 200, 200-299 or [200, 404]"),
        ("port: 80, health: {status: []}", "write 200, 200-299 or [200, 404]"),
        ("port: 80, health: {headers: {'a b': c}}", "write {Host: shop.example.com}"),
        ("port: 80, health: {headers: {a: \"b\\r\\nc: d\"}}", "use one line of text"),
        ("port: 80, health: {unhealthy: 0}", "it is a number from 1 to 100"),
    ])
    func mistakesAreTold(text: String, suggestion: String) {
        #expect(suggestions(text).contains(suggestion), "\(suggestions(text))")
    }

    @Test func aHostWithoutAPortIsAMistake() {
        #expect(suggestions("replicas: 1", stage: "{name: x, host: a.b}") == ["add `port` to service, or remove 'host'"])
    }
}
