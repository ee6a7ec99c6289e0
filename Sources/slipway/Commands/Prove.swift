import ArgumentParser
import AsyncHTTPClient
import Foundation
import LoadGenerator
import UnixSignals
import WebServer

struct Prove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Deploy good and bad releases to a stage under load, and tell what its users noticed.",
        discussion: """
            Example: slipway prove dev --project mix --good 12 --bad 13 --good 14 --mix sample --plot proof.svg

            Sends requests at a fixed rate through the router, first with nothing going on, then while the releases of the named runs \
            are deployed one after another, good and bad in turn. Exit status 1 when a request failed, a WebSocket was cut, a good release \
            did not arrive, or a bad one stayed or met more users than its share; what a bad release fails itself does not count. \
            Everything is real: the stage is what it is afterwards. With --watch nothing is deployed: what others do meanwhile is \
            watched, until Ctrl-C or --limit.
            """)
    @OptionGroup var place: Place
    @Option(parsing: .singleValue, help: "A run whose release is good; several times.") var good: [Int64] = []
    @Option(parsing: .singleValue, help: "A run whose release is bad; several times.") var bad: [Int64] = []
    @Option(help: "Requests a second, 1 to 5000.") var rate = 500
    @Option(help: "What is asked: 'plain' (GET) or 'sample' (all that examples/mix answers).") var mix = "plain"
    @Option(help: "The path of plain questions.") var path = "/"
    @Option(help: "Seconds of load before the first deployment, and after each.") var baseline = 5
    @Option(help: "Seconds of load after each deployment, instead.") var pause: Int?
    @Flag(help: "Deploy nothing, until Ctrl-C or --limit.") var watch = false
    @Option(help: "Where the router is, HOST:PORT; otherwise on this machine, at the port of the stage's address.") var router: String?
    @Option(help: "Seconds after which the load ends, whatever is going on.") var limit = 1800
    @Option(help: "Write a plot, as SVG, to this file.") var plot: String?

    func validate() throws {
        guard (1...5000).contains(rate) else { throw ValidationError("--rate is from 1 to 5000.") }
        guard ["plain", "sample"].contains(mix) else { throw ValidationError("--mix is 'plain' or 'sample'.") }
        guard (1...600).contains(baseline) else { throw ValidationError("--baseline is from 1 to 600 seconds.") }
        guard (0...600).contains(pause ?? 0) else { throw ValidationError("--pause is from 0 to 600 seconds.") }
        guard (1...86_400).contains(limit) else { throw ValidationError("--limit is from 1 to 86400 seconds.") }
        guard watch == (good.isEmpty && bad.isEmpty) else {
            throw ValidationError("Name runs whose releases are to be deployed, --good RUN, --bad RUN, or --watch alone.")
        }
    }

    func run() async throws {
        let stage = try await Stage(place)
        let address = try router.map(endpoint) ?? (host: "127.0.0.1", port: stage.port)
        let client = LoadRun.makeClient()
        let load = LoadRun(
            target: LoadTarget(address: address.host, port: address.port, host: stage.host), schedule: LoadSchedule(rate: rate),
            mix: mix == "sample" ? .sample : .plain(path: path), limit: .seconds(limit), client: client)
        let outcome: Result<[ProofReport.Deployment], any Error>
        do { outcome = .success(watch ? try await watched(load) : try await prove(stage, load)) } catch { outcome = .failure(error) }
        try await client.shutdown()
        let deployments = try outcome.get()
        let record = load.record
        let report = ProofReport(
            stage: place.stage, rate: rate, record: record, seconds: Double(record.seconds.count), baseline: Double(baseline),
            deployments: deployments)
        if let plot {
            do { try Data(ProofPlot.svg(report, record).utf8).write(to: URL(fileURLWithPath: plot)) } catch {
                throw Failure("the plot cannot be written to \(plot): \(error.localizedDescription)", hint: "name a file in a folder that is there")
            }
        }
        if place.json { try printJSON(report) } else { show(report) }
        if !report.isGood { throw ExitCode(Failure.failed) }
    }

    /// Load, and meanwhile one deployment after another.
    private func prove(_ stage: Stage, _ load: LoadRun) async throws -> [ProofReport.Deployment] {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await load.run() }
            defer { group.cancelAll() }
            try await Task.sleep(for: .seconds(baseline))
            guard load.record.total > 0 else { throw Failure("no request was answered within \(baseline) s", hint: "does the stage answer at all?") }
            var done: [ProofReport.Deployment] = []
            for (run, isBad) in order {
                var deployment = try await stage.deploy(run, isBad: isBad, load, limit: Double(limit))
                try await Task.sleep(for: .seconds(pause ?? baseline))
                deployment.met = ProofReport.met(load.record, from: deployment.began, to: deployment.ended + 1)
                done.append(deployment)
                if !place.json { say(deployment) }
            }
            load.stop()
            try await group.waitForAll()
            return done
        }
    }

    /// Load until somebody ends it.
    private func watched(_ load: LoadRun) async throws -> [ProofReport.Deployment] {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { return load.stop() }
            }
            await load.run()
            group.cancelAll()
            try await group.waitForAll()
            return []
        }
    }

    /// Good and bad in turn, as far as there are any.
    private var order: [(Int64, Bool)] {
        (0..<max(good.count, bad.count)).flatMap { index -> [(Int64, Bool)] in
            (index < good.count ? [(good[index], false)] : []) + (index < bad.count ? [(bad[index], true)] : [])
        }
    }

    private func endpoint(_ text: String) throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port),
            colon != text.startIndex
        else { throw Failure("--router: '\(text)' is not an address", hint: "write HOST:PORT, as in 127.0.0.1:8000", status: Failure.usage) }
        return (String(text[..<colon]), port)
    }

    private func say(_ deployment: ProofReport.Deployment) {
        let back = deployment.rollback.map { ", back after \(oneDigit($0)) s" } ?? ""
        print(
            "\(deployment.isAsExpected ? "✓" : "✗") \(deployment.isBad ? "bad" : "good") release of run \(deployment.run): \(deployment.state)"
                + " after \(oneDigit(deployment.ended - deployment.began)) s\(back)")
        if !deployment.isAsExpected, let message = deployment.message { print("    \(message)") }
    }

    private func show(_ report: ProofReport) {
        func times(_ times: ProofReport.Times) -> String {
            "p50 \(times.p50.map(oneDigit) ?? "-") ms, p99 \(times.p99.map(oneDigit) ?? "-") ms (\(times.requests) requests)"
        }
        let exposed = report.deployments.filter(\.isBad).compactMap(\.exposure)
        print(
            "requests   \(report.sent) at \(report.rate)/s: \(report.byKind.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))"
        )
        print("failed     \(report.failed)")
        print("cut early  \(report.webSocketsCut) WebSockets")
        if report.lostToBad > 0 { print("           \(report.lostToBad) of these are what bad releases failed themselves") }
        print("before     \(times(report.before))")
        print("meanwhile  \(times(report.during))")
        if !good.isEmpty, !bad.isEmpty { print("good ones  \(times(report.duringGood))") }
        if !bad.isEmpty {
            print(
                "exposure   "
                    + (exposed.count == bad.count
                        ? "\(exposed.reduce(0, +)) requests were answered by bad releases" : "unknown: answers have no X-Slipway-Test-Version"))
        }
        if report.reconnected > 0 { print("           \(report.reconnected) kept connections were found closed, and opened again") }
        for (reason, count) in report.reasons.sorted(by: { $0.value > $1.value }).prefix(10) { print("    \(count) × \(reason)") }
    }

    private func oneDigit(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
