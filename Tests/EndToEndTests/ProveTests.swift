import Foundation
import Testing

extension EndToEnd {
    @Test("Under load of every kind a good release arrives and a bad one does not, and nobody notices")
    func prove() async throws {
        try await ServerFixture.with { server in
            let (good, bad) = try await server.deliverMix()
            let plot = server.folder.appendingPathComponent("proof.svg")
            let outcome = try await server.slipway(
                "prove", "dev", "--project", "sample", "--good", "\(good)", "--bad", "\(bad)", "--mix", "sample", "--rate", "40", "--baseline", "2",
                "--plot", plot.path, "--json")
            let report = try JSONDecoder().decode(Proof.self, from: Data(outcome.output.utf8))
            #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
            #expect(report.failed == 0 && report.webSocketsCut == 0, "\(report.reasons)")
            #expect(report.sent > 200 && report.before.requests > 40 && report.during.requests > 100)
            #expect(report.byKind.count == 6, "\(report.byKind)")
            #expect(report.deployments.map(\.state) == ["succeeded", "reverted"])
            #expect(report.deployments.map(\.isBad) == [false, true])
            // Its health was never good: nobody was sent to it.
            #expect(report.deployments.last?.exposure == 0)
            let svg = try String(contentsOf: plot, encoding: .utf8)
            #expect(svg.hasPrefix("<svg") && svg.contains("bad</text>"))

            // A release called good that is not fails the proof.
            let wrong = try await server.slipway("prove", "dev", "--project", "sample", "--good", "\(bad)", "--rate", "20", "--baseline", "1")
            #expect(wrong.status == 1)
            #expect(wrong.output.contains("✗ good release of run \(bad): reverted"), "\(wrong.output)")
            for (arguments, status) in [(["prove", "dev"], 2), (["prove", "nowhere", "--project", "sample", "--good", "1"], 2)] {
                let refused = try await command(
                    ServerFixture.binary, arguments, environment: ["SLIPWAY_URL": server.url, "SLIPWAY_TOKEN": server.token])
                #expect(Int(refused.status) == status, "\(refused.errors)")
            }
        }
    }
}

private struct Proof: Decodable {
    struct Times: Decodable { var requests: Int }
    struct Deployment: Decodable {
        var state: String
        var isBad: Bool
        var exposure: Int?
    }
    var sent: Int
    var failed: Int
    var webSocketsCut: Int
    var byKind: [String: Int]
    var reasons: [String: Int]
    var before: Times
    var during: Times
    var deployments: [Deployment]
}

extension ServerFixture {
    /// Adds examples/mix as the project `sample`, with the first version live in dev; returns the runs of a good release and a bad one.
    func deliverMix() async throws -> (good: Int, bad: Int) {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let base = folder.appendingPathComponent("perl.tar")
        let made = try await command("\(root.path)/scripts/base-perl", [base.path])
        guard made.status == 0 else { throw Failed(made.errors) }
        let imported = try await slipway("image", "import", base.path, "library/perl:5", "--data", data.path)
        guard imported.status == 0 else { throw Failed(imported.errors) }
        let repository = try await SampleRepository(folder.appendingPathComponent("sample"))
        let example = root.appendingPathComponent("examples/mix")
        let pipeline = try String(contentsOf: example.appendingPathComponent("pipelines/mix.yaml"), encoding: .utf8)
        try repository.write(try String(contentsOf: example.appendingPathComponent("bin/mix"), encoding: .utf8), to: "bin/mix")
        let project = try await addProject(repository)
        var runs: [Int] = []
        for (version, misbehaviour) in [("1", ""), ("2", ""), ("3", "crash")] {
            let text = pipeline.replacingOccurrences(
                of: #"{MIX_VERSION: "1", MIX_MISBEHAVE: ""}"#, with: #"{MIX_VERSION: "\#(version)", MIX_MISBEHAVE: "\#(misbehaviour)"}"#)
            let commit = try await repository.commit(version: version, pipeline: text)
            if misbehaviour.isEmpty {
                try await deliverToDev(commit, of: project, seconds: 40)
                runs.append(try await finishedRun(of: commit).id)
            } else {
                try await push(commit, to: project)
                runs.append(try await finishedRun(of: commit, seconds: 40).id)
                try await until("the bad release is refused") { try await self.show(runs[2]).deployments?.last?.state == "reverted" }
            }
        }
        return (runs[0], runs[2])
    }
}
