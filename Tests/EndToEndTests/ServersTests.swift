import Foundation
import FreePort
import PostgresCluster
import Testing

extension EndToEnd {
    private static let steps = """
          - name: test
            image: library/busybox:1
            commands: [echo begun, WAIT, echo mark >> marks, echo marked]
          - name: package
            image: library/busybox:1
            depends_on: [test]
            commands: ["echo marks: $(wc -l < marks)", mkdir -p dist, cp -R www dist/]
        """
    private static func steps(waiting command: String) -> String { steps.replacingOccurrences(of: "WAIT", with: command) }

    private typealias Question = (_ sql: String) async throws -> String

    /// Two servers on one new database, which `ask` asks.
    private func withTwoServers(
        _ body: (_ server: ServerFixture, _ sibling: ServerFixture, _ repository: SampleRepository, _ ask: Question) async throws -> Void
    ) async throws {
        let cluster = try await PostgresCluster.shared()
        let url = try await cluster.newDatabase()
        let database = String(url.split(separator: "/").last ?? "")
        try await ServerFixture.with(store: url) { server in
            try await server.withSibling { sibling in
                let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
                try await body(server, sibling, repository) { try await cluster.run($0, in: database) }
            }
        }
    }

    /// Pushes to one of two servers, waits until the step runs, and says which of them has the run.
    private func begin(
        _ commit: String, of project: ProjectValue, on server: ServerFixture, and sibling: ServerFixture, _ ask: Question
    ) async throws -> (run: Int, holder: ServerFixture, other: ServerFixture) {
        try await server.push(commit, to: project)
        let run = try await eventually("the step has begun") {
            guard let run = try await server.runs().first(where: { $0.commit == commit }) else { return nil as Int? }
            return try await server.log(of: run.id).contains("[test] begun") ? run.id : nil
        }
        let holder = try await ask("SELECT holder FROM run WHERE id = \(run)")
        #expect(holder.hasSuffix("#1") || holder.hasSuffix("#2"))
        return holder.hasSuffix("#1") ? (run, server, sibling) : (run, sibling, server)
    }

    /// The run is over, well, and its step left one mark.
    private func endedOnce(_ run: Int, on server: ServerFixture, seconds: Double = 30) async throws -> RunValue {
        let value = try await eventually("run \(run) is over", seconds: seconds) {
            let value = try await server.show(run)
            return value.isOver ? value : nil
        }
        #expect(value.state == "succeeded", "\(value.error ?? "")")
        let log = try await server.log(of: run)
        for line in ["begun", "marked"] { #expect(log.components(separatedBy: "[test] \(line)\n").count == 2, "\(log)") }
        #expect(log.contains("[package] marks: 1"), "\(log)")
        return value
    }

    @Test("Two servers share everything; what one was killed or stopped with the other finishes, each step once")
    func takeover() async throws {
        try await withTwoServers { server, sibling, repository, ask in
            var commit = try await repository.commit(
                version: "1", pipeline: SampleRepository.pipeline(steps: Self.steps(waiting: SampleRepository.wait)))
            let project = try await server.addProject(repository)
            let there = ProjectValue(project, at: sibling.url)
            // The same delivery to both is one; sessions and tokens are of both.
            #expect(sibling.token == server.token)
            for (number, isOrderly) in [false, true].enumerated() {
                let place = number == 0 ? project : there
                let (run, holder, other) = try await begin(commit, of: place, on: server, and: sibling, ask)
                if isOrderly { #expect(try await holder.stop() == 0) } else { try await holder.kill9() }
                try other.letGo(run)
                let ended = try await endedOnce(run, on: other)
                // It looks after what is live, too.
                try await until("the one that is left leads") {
                    try await ask("SELECT holder FROM lease WHERE name = 'leader'")
                        .hasSuffix(other === server ? "#1" : "#2")
                }
                #expect(try await ask("SELECT epoch FROM run WHERE id = \(run)") == "2")
                try await other.live(#require(ended.digest), in: "dev")
                try await holder.start()
                commit = try await repository.commit(
                    version: "\(number + 2)", pipeline: SampleRepository.pipeline(steps: Self.steps(waiting: SampleRepository.wait)))
            }
            #expect(try await server.push(commit, id: "one", to: project).duplicate == false)
            #expect(try await sibling.push(commit, id: "one", to: there).duplicate)
            let third = try await eventually("the run is there") {
                try await sibling.runs().first { $0.commit == commit && $0.state == "running" }?.id
            }
            try sibling.letGo(third)
            let run = try await sibling.finishedRun(of: commit)
            try await server.live(#require(run.digest), in: "dev")
            #expect(try await sibling.answer(of: "dev").body == "version 3")
            #expect(try await server.runs().count == 3)
        }
    }

    @Test("A deployment whose server is killed in the middle is finished by the other, with the same instances")
    func deploymentTakenOver() async throws {
        try await withTwoServers { server, sibling, repository, ask in
            let project = try await server.addProject(repository)
            let commit = try await repository.commit(
                version: "1", pipeline: SampleRepository.pipeline(entrypoint: SampleRepository.slowServer, replicas: 2))
            try await server.push(commit, to: project)
            try await until("dev is warming") { try await server.stage("dev")?.state == "warming" }
            let begun = server.instances
            let name = try await ask("SELECT holder FROM deployment WHERE phase = 'warming'")
            let (holder, other) = name.hasSuffix("#1") ? (server, sibling) : (sibling, server)
            try await holder.kill9()
            let run = try await other.finishedRun(of: commit)
            try await other.live(#require(run.digest), in: "dev", seconds: 30)
            #expect(other.instances == begun)
            #expect(try await other.answer(of: "dev").body == "version 1")
            #expect(try await other.show(run.id).deployments?.filter { $0.stage == "dev" }.map(\.state) == ["succeeded"])
            // Whoever is left looks after what is live.
            try await until("the other one leads") {
                try await !ask("SELECT holder FROM lease WHERE name = 'leader'").isEmpty
                    && other.log.contains("looks after what is live")
            }
            try await holder.start()
        }
    }

    @Test("A server that was frozen in a step wakes up, changes nothing any more, and serves on")
    func frozen() async throws {
        try await withTwoServers { server, sibling, repository, ask in
            let commit = try await repository.commit(
                version: "1", pipeline: SampleRepository.pipeline(steps: Self.steps(waiting: "sleep 12")))
            let project = try await server.addProject(repository)
            let (run, holder, other) = try await begin(commit, of: project, on: server, and: sibling, ask)
            try holder.freeze()
            let ended: RunValue
            do { ended = try await endedOnce(run, on: other, seconds: 40) } catch {
                try holder.thaw()
                throw error
            }
            let rows = "SELECT run.*, step.* FROM run JOIN step ON step.run = run.id ORDER BY 1"
            try await other.live(#require(ended.digest), in: "dev")
            let before = try await ask(rows)
            let instances = other.instances
            try holder.thaw()
            try await until("it knows that the run is another's") { holder.log.contains("run \(run) is not ours any more") }
            try await until("it serves") { try await http("GET", "\(holder.url)/readyz").status == 200 }
            #expect(try await ask(rows) == before)
            #expect(other.instances == instances)
            _ = try await endedOnce(run, on: holder)
            // Alone it does everything again.
            try await other.stop()
            try await holder.deliverToDev(
                repository.commit(version: "2"), of: ProjectValue(project, at: holder.url), seconds: 30)
            #expect(try await holder.answer(of: "dev").body == "version 2")
            try await other.start()
        }
    }

    @Test("A web server and a worker share the work; another data directory, another database and other roles are refused")
    func rolesAndRefusals() async throws {
        let cluster = try await PostgresCluster.shared()
        let url = try await cluster.newDatabase()
        try await ServerFixture.with(store: url) { server in
            func refused(_ settings: [String: String], data: String? = nil, status: Int32 = 1, _ words: String...) async throws {
                let outcome = try await command(
                    ServerFixture.binary,
                    ["serve", "--data", data ?? server.data.path, "--listen", "127.0.0.1:\(freePort())", "--router-port", "\(server.routerPort)"],
                    environment: server.environment.merging(settings) { $1 })
                #expect(outcome.status == status)
                let lines = outcome.errors.split(separator: "\n").filter { !$0.hasPrefix("{") }
                #expect(lines.count == 2 && lines[0].hasPrefix("slipway: "), "\(outcome.errors)")
                for word in words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
            }
            let second = "\(server.folder.path)/second"
            try await refused([:], data: second, "belongs to another data directory", server.data.path, "slipway store adopt --data \(second)")
            try await refused(["SLIPWAY_STORE": try await cluster.newDatabase()], "uses another database than PostgreSQL")
            try await refused(["SLIPWAY_STORE": "\(server.folder.path)/other.db"], "another server uses the data directory")
            let link = "\(server.folder.path)/link"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: server.data.path)
            try await refused([:], data: link, "has this data directory as \(server.data.path)")
            try await refused(["SLIPWAY_ROLE": "web,cook"], status: 2, "role: 'web,cook' is unknown", "'web', 'worker' or 'web,worker'")
            try await refused(["SLIPWAY_STORE": "\(second).db", "SLIPWAY_ROLE": "web"], data: second, status: 2, "role: 'web' alone")

            try await server.stop()
            server.environment["SLIPWAY_ROLE"] = "web"
            try await server.start()
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            let project = try await server.addProject(repository)
            try await server.push(commit, to: project)
            try await server.withSibling(["SLIPWAY_ROLE": "worker"]) { worker in
                let run = try await server.finishedRun(of: commit)
                try await server.live(#require(run.digest), in: "dev")
                #expect(try await server.answer(of: "dev").body == "version 1")
                for (path, status) in [("/healthz", 200), ("/metrics", 200), ("/", 404), ("/v2/", 404), ("/api/v1/projects", 404)] {
                    #expect(try await http("GET", "\(worker.url)\(path)").status == status, "\(path)")
                }
                #expect(worker.log.contains("worker") && server.log.contains("server 1: web"))
                // Removed by the one, cleared away by the other.
                try await until("the project is removed") { try await server.slipway("project", "remove", "sample").status == 0 }
                try await until("its instances are gone") { server.containers.isEmpty }
            }
            // The database goes to another data directory only when it is told to.
            try await server.stop()
            let adopted = try await command(
                ServerFixture.binary, ["store", "adopt", "--data", second], environment: server.environment.filter { $0.key != "SLIPWAY_ROLE" })
            #expect(adopted.status == 0, "\(adopted.errors)")
            try await refused(["SLIPWAY_ROLE": "web"], "belongs to another data directory", second)
        }
    }
}
