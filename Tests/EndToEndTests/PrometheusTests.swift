import Foundation
import FreePort
import Testing

extension EndToEnd {
    @Test("A canary that only its own numbers tell is found by a query of Prometheus, which finds the instances by itself; a good one stays")
    func prometheus() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let query = #"abort_if: {query: 'orders_failed{instance=~"$new"} > 0'}"#
            let pipeline = SampleRepository.pipeline()
                .replacingOccurrences(
                    of: "dev.localhost, drain: 1s", with: "dev.localhost, drain: 1s, strategy: {canary: {weights: [50], every: 20s, \(query)}}")
            try repository.write("orders_failed 0\n", to: "www/metrics")
            let project = try await server.addProject(repository)
            let first = try await server.deliverToDev(try await repository.commit(version: "1"), of: project)

            // Nobody could judge it.
            try await server.push(try await repository.commit(version: "2", pipeline: pipeline), to: project)
            try await until("dev is back") { try await server.stage("dev")?.state == "failed" }
            #expect(try await server.stage("dev")?.problem?.contains("prometheus") == true)

            let metrics = try Prometheus(server.folder.appendingPathComponent("prometheus"))
            try await server.stop()
            server.environment["SLIPWAY_PROMETHEUS"] = metrics.url
            try await server.start()
            try await metrics.start(of: server)
            try repository.write("orders_failed 7\n", to: "www/metrics")
            let bad = try await repository.commit(version: "3", pipeline: pipeline)
            try await server.push(bad, to: project)
            try await until("dev is back", seconds: 60) { try await server.stage("dev")?.state == "reverted" }
            let deployment = try #require(try await server.finishedRun(of: bad).deployments?.first)
            #expect(deployment.message?.contains("Prometheus answers the query with {__name__=orders_failed") == true, "\(deployment.message ?? "")")
            #expect(try await server.stage("dev")?.digest == first)

            try repository.write("orders_failed 0\n", to: "www/metrics")
            let good = try await repository.commit(version: "4", pipeline: pipeline)
            try await server.push(good, to: project)
            let digest = try #require(try await server.finishedRun(of: good).digest)
            try await server.live(digest, in: "dev", seconds: 80)
        }
    }
}

/// Prometheus on a free loopback port. It asks the instances of a server every second.
private final class Prometheus {
    let url: String
    private let address: String
    private let folder: URL
    private var process: Process?

    init(_ folder: URL) throws {
        address = "127.0.0.1:\(try freePort())"
        url = "http://\(address)"
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Its files are in a folder of the test: it has to be gone before that is removed.
    deinit {
        process?.terminate()
        process?.waitUntilExit()
    }

    func start(of server: ServerFixture) async throws {
        let program = "/usr/bin/prometheus"
        guard FileManager.default.isExecutableFile(atPath: program) else { throw Failed("\(program) is missing: apt-get install prometheus") }
        let configuration = folder.appendingPathComponent("prometheus.yml")
        try """
        global: {scrape_interval: 1s}
        scrape_configs:
          - job_name: slipway
            http_sd_configs: [{url: "\(server.url)/metrics/targets", refresh_interval: 1s}]
        """.write(to: configuration, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = [
            "--config.file=\(configuration.path)", "--storage.tsdb.path=\(folder.path)/data", "--web.listen-address=\(address)",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        try await until("Prometheus answers") { try await http("GET", "\(url)/-/ready").status == 200 }
    }
}
