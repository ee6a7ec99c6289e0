public import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Asks Prometheus, or whatever speaks its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/, instant queries).
public struct PrometheusQuery: MetricsQuery {
    private static let timeout = Duration.seconds(5)
    private static let bodyLimit = 1 << 20

    private let url: String
    private let client: HTTPClient

    /// - Parameters:
    ///   - url: where it is, as in `http://127.0.0.1:9090`; a path in front of `/api/v1` belongs to it.
    ///   - client: stays owned by the caller, who shuts it down.
    public init(url: String, client: HTTPClient) {
        self.url = url
        self.client = client
    }

    private struct Answer: Decodable {
        struct Result: Decodable {
            var resultType: String
            /// Of other types than vectors it has other forms.
            var result: [Series]?

            enum CodingKeys: CodingKey { case resultType, result }

            init(from decoder: any Decoder) throws {
                let values = try decoder.container(keyedBy: CodingKeys.self)
                resultType = try values.decode(String.self, forKey: .resultType)
                result = resultType == "vector" ? try values.decode([Series].self, forKey: .result) : nil
            }
        }

        struct Series: Decodable {
            var metric: [String: String]
            /// Time and value.
            var value: Value
        }

        struct Value: Decodable {
            var text: String

            init(from decoder: any Decoder) throws {
                var pair = try decoder.unkeyedContainer()
                _ = try pair.decode(Double.self)
                text = try pair.decode(String.self)
            }
        }

        var status: String
        var error: String?
        var data: Result?
    }

    public func series(_ expression: String) async throws -> [String] {
        var request = HTTPClientRequest(url: url + "/api/v1/query")
        request.method = .POST
        request.headers.replaceOrAdd(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.headers.replaceOrAdd(name: "User-Agent", value: "slipway")
        request.body = .bytes(ByteBuffer(string: "timeout=\(Self.timeout.components.seconds)s&query=\(DockerHost.escape(expression))"))
        let asked = request
        let body: ByteBuffer?
        do {
            body = try await within(Self.timeout) { [client] in
                try await client.execute(asked, deadline: .now() + .init(Self.timeout)).body.collect(upTo: Self.bodyLimit)
            }
        } catch {
            throw HTTPClientProbe.failure(error, within: Self.timeout)
        }
        guard let body else { throw ProbeFailure("no answer within \(Quantities.seconds(Self.timeout / .seconds(1)))") }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(body.readableBytesView)) else {
            throw ProbeFailure("an answer that is not Prometheus': \(String(decoding: body.readableBytesView.prefix(200), as: UTF8.self))")
        }
        guard answer.status == "success", let data = answer.data else {
            throw ProbeFailure("it refuses the query: \(answer.error ?? answer.status)")
        }
        guard let found = data.result else {
            throw ProbeFailure("the query gives a \(data.resultType), and a vector is needed: compare, as in … > 0.05")
        }
        return found.map { series in
            let labels = series.metric.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
            return (labels.isEmpty ? "" : "{\(labels)} ") + series.value.text
        }
    }
}
