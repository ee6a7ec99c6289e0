import Foundation
import Testing

extension EndToEnd {
    /// A service of several replicas, with a strategy for dev.
    private static func pipeline(_ strategy: String, replicas: Int = 2, entrypoint: String = SampleRepository.server) -> String {
        SampleRepository.pipeline(entrypoint: entrypoint, replicas: replicas)
            .replacingOccurrences(of: "host: dev.localhost, drain: 1s", with: "host: dev.localhost, drain: 1s, strategy: \(strategy)")
    }

    @Test("A canary gets its share, waits for a person, and the same instances get everything")
    func canary() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let pipeline = Self.pipeline("{canary: {weights: [20], every: manual, pin: true}}")
            let project = try await server.addProject(repository)
            try await server.deliverToDev(try await repository.commit(version: "1", pipeline: pipeline), of: project)
            let old = Set(server.instances)
            let commit = try await repository.commit(version: "2", pipeline: pipeline)
            try await server.push(commit, to: project)
            try await until("the canary waits") { try await server.stage("dev")?.state == "pausing" }
            let canary = Set(server.instances).subtracting(old)
            #expect(canary.count == 1)

            var answers: [String: Int] = [:]
            for _ in 0..<200 { answers[try await server.answer(of: "dev").body, default: 0] += 1 }
            #expect(answers == ["version 1": 160, "version 2": 40])
            let url = "http://127.0.0.1:\(server.routerPort)/"
            let pinned = try await http("GET", url, headers: ["Host": "dev.localhost", "X-Slipway-Version": "new"])
            #expect(pinned.body.contains("version 2"))

            // Prometheus finds both versions.
            struct Group: Decodable { var targets: [String], labels: [String: String] }
            let found = try await http("GET", "\(server.url)/metrics/targets")
            let groups = try JSONDecoder().decode([Group].self, from: Data(found.body.utf8))
            #expect(groups.map(\.targets.count) == [old.count, 1] && Set(groups.flatMap(\.targets)).count == 3, "\(found.body)")
            #expect(groups.allSatisfy { $0.labels["project"] == "sample" && $0.labels["pipeline"] == "sample" && $0.labels["stage"] == "dev" })
            #expect(Set(groups.map { $0.labels["deployment"] }).count == 2)

            // It waits over a restart of the server.
            try await server.kill9()
            try await server.start()
            try await until("it still waits") { try await server.stage("dev")?.state == "pausing" }
            let resumed = try await server.slipway("resume", "dev", "--project", "sample")
            #expect(resumed.status == 0, "\(resumed.errors)")
            let run = try await server.finishedRun(of: commit)
            try await server.live(#require(run.digest), in: "dev")
            #expect(try await server.answer(of: "dev").body == "version 2")
            #expect(canary.isSubset(of: server.instances) && server.instances.count == 2)
            let again = try await server.slipway("resume", "dev", "--project", "sample")
            #expect(again.status != 0 && again.errors.contains("waits to be let go on"), "\(again)")
        }
    }

    @Test("A rollback in the middle of a deployment is one write of the router: the old instances never stopped")
    func rollbackInTheMiddle() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let pipeline = Self.pipeline("{canary: {weights: [50], every: manual}}")
            let project = try await server.addProject(repository)
            let first = try await server.deliverToDev(try await repository.commit(version: "1", pipeline: pipeline), of: project)
            let old = server.instances
            try await server.push(try await repository.commit(version: "2", pipeline: pipeline), to: project)
            try await until("the canary waits") { try await server.stage("dev")?.state == "pausing" }
            let back = try await server.slipway("rollback", "dev", "--project", "sample")
            #expect(back.status == 0, "\(back.errors)")
            try await until("dev is back") { try await server.stage("dev")?.state == "cancelled" }
            for _ in 0..<20 { #expect(try await server.answer(of: "dev").body == "version 1") }
            #expect(server.instances == old)
            #expect(try await server.stage("dev")?.digest == first)
        }
    }

    @Test("A rolling update replaces instance by instance; one that is killed at any moment goes on")
    func rolling() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let pipeline = Self.pipeline("{rolling: {max_surge: 1, ready: 500ms}}", replicas: 3)
            let project = try await server.addProject(repository)
            try await server.deliverToDev(try await repository.commit(version: "1", pipeline: pipeline), of: project)
            let commit = try await repository.commit(version: "2", pipeline: pipeline)
            try await server.push(commit, to: project)
            let port = server.routerPort
            let isOver = Flag()
            async let load = Self.load(port, until: isOver)
            var kills = 0
            try await until("version 2 is live", seconds: 60) {
                guard let stage = try await server.stage("dev") else { return false }
                if stage.state == "live", stage.commit == commit { return true }
                #expect(server.instances.count <= 4)
                if kills < 3, ["warming", "weighting", "draining", "retiring"].contains(stage.state) {
                    kills += 1
                    try await server.kill9()
                    try await server.start()
                }
                return false
            }
            #expect(try await server.answer(of: "dev").body == "version 2")
            isOver.set()
            let answers = try await load
            #expect(Set(answers.keys) == ["version 1", "version 2"], "\(answers)")
            #expect(server.instances.count == 3 && kills == 3)
        }
    }

    @Test("Killed in any phase of a canary the server goes on with it: it ends once, the right version serves, no request is lost")
    func killedInEveryPhase() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let pipeline = Self.pipeline("{canary: {weights: [20, 50], every: 1s}}, soak: 1s")
            let project = try await server.addProject(repository)
            try await server.deliverToDev(try await repository.commit(version: "0", pipeline: pipeline), of: project)
            let port = server.routerPort
            var struck: Set<String> = []
            for (number, phases) in [
                ["starting", "warming"], ["weighting"], ["pausing"], ["switching", "confirming"], ["soaking"], ["draining", "retiring"],
            ].enumerated() {
                let isOver = Flag()
                async let load = Self.load(port, until: isOver)
                let commit = try await repository.commit(version: "\(number + 1)", pipeline: pipeline)
                try await server.push(commit, to: project)
                var isStruck = false
                try await until("version \(number + 1) is live", seconds: 60) {
                    guard let stage = try await server.stage("dev") else { return false }
                    if stage.state == "live", stage.commit == commit { return true }
                    if !isStruck, phases.contains(stage.state) {
                        isStruck = true
                        struck.insert(stage.state)
                        try await server.kill9()
                        try await server.start()
                    }
                    return false
                }
                isOver.set()
                let answers = try await load
                #expect(answers.keys.allSatisfy { $0.hasPrefix("version ") }, "\(phases): \(answers)")
                #expect(server.instances.count == 2)
                let run = try await server.finishedRun(of: commit)
                #expect(run.deployments?.filter { $0.stage == "dev" }.map(\.state) == ["succeeded"])
            }
            // The short phases may be over before anybody looks.
            #expect(struck.count >= 3, "\(struck)")
        }
    }

    /// Counts what is answered; whatever is not 200 counts under its status.
    private static func load(_ port: Int, until isOver: Flag) async throws -> [String: Int] {
        var answers: [String: Int] = [:]
        let end = ContinuousClock.now + .seconds(90)
        while !isOver.isSet, !Task.isCancelled, ContinuousClock.now < end {
            do {
                let answer = try await http("GET", "http://127.0.0.1:\(port)/", headers: ["Host": "dev.localhost"])
                let text = answer.body.trimmingCharacters(in: .whitespacesAndNewlines)
                answers[answer.status == 200 ? text : "\(answer.status)", default: 0] += 1
            } catch {
                answers["\(error)", default: 0] += 1
            }
        }
        return answers
    }
}
