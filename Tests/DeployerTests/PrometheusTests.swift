import AsyncHTTPClient
import DeliveryModel
import FreePort
import Hummingbird
import LoopbackServer
import Synchronization
import Testing

@testable import Deployer

struct PrometheusTests {
    @Test(arguments: [
        (#"{"status":"success","data":{"resultType":"vector","result":[]}}"#, [String]()),
        (
            #"""
            {"status":"success","data":{"resultType":"vector","result":[
              {"metric":{"instance":"10.0.0.3:80","__name__":"up"},"value":[1435781451.781,"0.07"]},{"metric":{},"value":[1435781451.781,"NaN"]}]}}
            """#, ["{__name__=up, instance=10.0.0.3:80} 0.07", "NaN"]
        ),
    ])
    func answers(_ text: String, _ series: [String]) async throws {
        let asked = Mutex("")
        try await ask("sum(rate(x{a=\"b&c\"}[1m])) > 0.5", answering: text, { body in asked.withLock { $0 = body } }) { found in
            let found = try found.get()
            #expect(found == series)
        }
        #expect(asked.withLock { $0 } == "timeout=5s&query=sum%28rate%28x%7Ba%3D%22b%26c%22%7D%5B1m%5D%29%29%20%3E%200.5")
    }

    @Test(arguments: [
        (#"{"status":"error","errorType":"bad_data","error":"parse error"}"#, "it refuses the query: parse error"),
        (#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"1"]}}"#, "gives a scalar, and a vector is needed"),
        ("<html>", "not Prometheus'"), ("", "not Prometheus'"),
    ])
    func mistakes(_ text: String, _ words: String) async throws {
        try await ask("x", answering: text) { found in
            let failure = #expect(throws: ProbeFailure.self) { try found.get() }
            #expect(failure?.description.contains(words) == true, "\(found)")
        }
    }

    @Test func nobodyIsThere() async throws {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(configuration: configuration)
        let query = PrometheusQuery(url: "http://127.0.0.1:\(try freePort())", client: client)
        let failure = await #expect(throws: ProbeFailure.self) { try await query.series("x") }
        try await client.shutdown()
        #expect(failure?.description == "connection refused")
    }

    private func ask(
        _ expression: String, answering text: String, _ see: @escaping @Sendable (String) -> Void = { _ in },
        _ body: @escaping @Sendable (Result<[String], any Error>) throws -> Void
    ) async throws {
        let router = Hummingbird.Router(context: BasicRequestContext.self)
        router.post("/prometheus/api/v1/query") { request, _ in
            see(String(buffer: try await request.body.collect(upTo: 4096)))
            return text
        }
        try await serve(router) { port in
            let query = PrometheusQuery(url: "http://127.0.0.1:\(port)/prometheus", client: .shared)
            let found: Result<[String], any Error>
            do { found = .success(try await query.series(expression)) } catch { found = .failure(error) }
            try body(found)
        }
    }
}

/// Answers one after the other; the last one again and again.
final class FakeMetrics: MetricsQuery {
    private let answers: Mutex<[Result<[String], ProbeFailure>]>
    let questions = Mutex<[String]>([])

    init(_ answers: [Result<[String], ProbeFailure>]) { self.answers = Mutex(answers) }

    func series(_ expression: String) async throws -> [String] {
        questions.withLock { $0.append(expression) }
        return try answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }.get()
    }
}
