import DockerDaemon
import Foundation
import Testing

extension EndToEnd {
    /// A service whose dev stage has a secret, with these jobs.
    private static func pipeline(_ jobs: String, entrypoint: String = SampleRepository.server) -> String {
        SampleRepository.pipeline(entrypoint: entrypoint)
            .replacingOccurrences(of: "host: dev.localhost,", with: "host: dev.localhost, environment: {KEY: {from_secret: key}},")
            .replacingOccurrences(of: "  replicas: 1\n", with: "  replicas: 1\n\(jobs)\n")
    }

    private static func job(_ name: String, _ script: String, more: String = "") -> String {
        #"{name: \#(name), command: [/bin/sh, -c, "\#(script)"]\#(more)}"#
    }

    private func jobs(_ server: ServerFixture, _ stage: String = "dev") async throws -> [JobValue] {
        try await server.ask(["jobs", stage, "--project", "sample"])
    }

    @Test("Jobs before and after a deployment run once each, also when the server is killed meanwhile, and their logs hide secrets")
    func jobsOfADeployment() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            #expect(try await server.slipway("secret", "set", "key", "--project", "sample", input: "correct-horse").status == 0)
            let migrate = Self.job("migrate", "echo to $SLIPWAY_STAGE with $KEY; echo careful >&2; sleep 8; echo done")
            let warm = Self.job("warm-up", "sleep 8; echo warm")
            let commit = try await repository.commit(
                version: "1", pipeline: Self.pipeline("  jobs: {before: [\(migrate)], after: [\(warm)]}"))
            try await server.push(commit, to: project)
            for name in ["migrate", "warm-up"] {
                try await until("\(name) runs") { try await self.jobs(server).contains { $0.name == name && $0.state == "running" } }
                if name == "migrate" {
                    #expect(server.containers.count == 1)
                    #expect(try await server.stage("dev")?.state == "preparing")
                }
                try await server.kill9()
                try await server.start()
            }
            let run = try await server.finishedRun(of: commit)
            try await server.live(#require(run.digest), in: "dev")
            #expect(try await server.answer(of: "dev").body == "version 1")
            let jobs = try await jobs(server)
            #expect(jobs.map(\.name) == ["warm-up", "migrate"])
            #expect(jobs.map(\.kind) == ["after", "before"] && jobs.allSatisfy { $0.state == "succeeded" && $0.exitCode == 0 }, "\(jobs)")
            #expect(jobs.allSatisfy { $0.digest == run.digest && $0.startedBy == "slipway" })
            let log = try await server.slipway("jobs", "logs", "\(jobs[1].id)", "-f")
            #expect(log.output == "to dev with ***\ndone\n" && log.errors == "careful\n" && log.status == 0, "\(log)")
            // Only the instance is left.
            try await until("the jobs' containers are gone") { server.containers.count == 1 }
            let page = try await http("GET", "\(server.url)/jobs/\(jobs[1].id)").body
            #expect(page.contains("to dev with ***") && !page.contains("correct-horse"))
            #expect(try await http("GET", "\(server.url)/projects/sample").body.contains("/jobs/\(jobs[0].id)"))
            #expect(try await http("GET", "\(server.url)/runs/\(run.id)").body.contains("/jobs/\(jobs[0].id)"))
        }
    }

    @Test("A job that fails before a deployment fails it and touches nothing; one after it is told; an abort ends it; a rollback needs none")
    func failingJobs() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            #expect(try await server.slipway("secret", "set", "key", "--project", "sample", input: "correct-horse").status == 0)
            let first = try await server.deliverToDev(
                try await repository.commit(
                    version: "1", pipeline: Self.pipeline("  jobs: {before: [\(Self.job("migrate", "exit 0"))]}")), of: project)
            let bad = try await repository.commit(
                version: "2", pipeline: Self.pipeline("  jobs: {before: [\(Self.job("migrate", "echo no table; exit 3"))]}"))
            try await server.push(bad, to: project)
            try await until("version 2 has failed") { try await server.stage("dev")?.state == "failed" }
            let problem = try #require(try await server.stage("dev")?.problem)
            #expect(problem.contains("the job 'migrate' failed: exit code 3"), "\(problem)")
            #expect(try await server.finishedRun(of: bad).deployments?.first?.logTail == "no table")
            #expect(try await server.answer(of: "dev").body == "version 1")
            try await until("the job's container is gone") { server.containers.count == 1 }

            let slow = Self.pipeline("  jobs: {before: [\(Self.job("migrate", "sleep 600"))]}")
            try await server.push(try await repository.commit(version: "3", pipeline: slow), to: project)
            try await until("the job runs") { try await self.jobs(server).first?.state == "running" }
            #expect(try await server.slipway("abort", "dev", "--project", "sample").status == 0)
            try await until("it is ended") { try await server.stage("dev")?.state == "cancelled" }
            #expect(try await jobs(server).first?.state == "cancelled")
            #expect(try await server.answer(of: "dev").body == "version 1")

            let late = Self.pipeline(
                "  jobs: {before: [\(Self.job("migrate", "sleep 600", more: ", timeout: 1s"))]}")
            try await server.push(try await repository.commit(version: "4", pipeline: late), to: project)
            try await until("it has timed out") { try await server.stage("dev")?.problem?.contains("timed out after 1 s") == true }
            try await until("the container is gone") { server.containers.count == 1 }

            let told = try await repository.commit(
                version: "5", pipeline: Self.pipeline("  jobs: {after: [\(Self.job("tell", "exit 7")), \(Self.job("next", "exit 0"))]}"))
            try await server.deliverToDev(told, of: project)
            let deployment = try #require(try await server.finishedRun(of: told).deployments?.first { $0.stage == "dev" })
            #expect(deployment.state == "succeeded" && deployment.message?.contains("the job 'tell' failed") == true, "\(deployment)")
            #expect(try await jobs(server).prefix(2).map(\.state) == ["succeeded", "failed"])
            // Nobody is asked to approve what has a failed job.
            #expect(try await server.stage("prod")?.waiting?.digest != deployment.digest)

            let count = try await jobs(server).count
            #expect(try await server.slipway("rollback", "dev", "--project", "sample").status == 0)
            try await server.live(first, in: "dev")
            #expect(try await jobs(server).count == count)
        }
    }

    @Test("A command runs in what is live: its output, its exit status, its end by a signal; the ledger has it without secrets")
    func execInWhatIsLive() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            #expect(try await server.slipway("secret", "set", "key", "--project", "sample", input: "correct-horse").status == 0)
            let early = try await server.slipway("exec", "dev", "--project", "sample", "--", "/bin/true")
            #expect(early.status == 3 && early.errors.contains("has no stage 'dev'"), "\(early)")
            let cron = #"  cron: [{name: cleanup, schedule: "0 0 29 2 *", command: [/bin/sh, -c, "echo cleaned; sleep 1"]}]"#
            let digest = try await server.deliverToDev(try await repository.commit(version: "1", pipeline: Self.pipeline(cron)), of: project)

            let script = "echo $KEY in $SLIPWAY_STAGE; echo careful >&2; cat /www/index.html; exit 9"
            let outcome = try await server.slipway("exec", "dev", "--project", "sample", "--", "/bin/sh", "-c", script + " # correct-horse")
            #expect(outcome.output == "*** in dev\nversion 1\n" && outcome.errors == "careful\n" && outcome.status == 9, "\(outcome)")
            let job = try #require(try await jobs(server).first)
            #expect(job.kind == "exec" && job.state == "failed" && job.exitCode == 9 && job.digest == digest && job.startedBy == "admin")
            #expect(job.command == ["/bin/sh", "-c", script + " # ***"])
            let ledger = try await server.slipway("ledger", "show", "--project", "sample", "--json")
            #expect(ledger.output.contains(#"exit 9 # ***""#) && !ledger.output.contains("correct-horse"), "\(ledger)")
            #expect(try await server.slipway("ledger", "verify").status == 0)
            let missing = try await server.slipway("exec", "dev", "--project", "sample", "--", "/bin/nothing")
            #expect(missing.status != 0 && missing.errors.contains("could not be started"), "\(missing)")

            // The signal of Ctrl-C.
            let process = Process()
            process.executableURL = URL(fileURLWithPath: ServerFixture.binary)
            process.arguments = ["exec", "dev", "--project", "sample", "--", "/bin/sleep", "600"]
            process.environment = ProcessInfo.processInfo.environment.merging(["SLIPWAY_URL": server.url, "SLIPWAY_TOKEN": server.token]) { $1 }
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            try await until("the command runs") { try await self.jobs(server).first?.state == "running" }
            kill(process.processIdentifier, SIGINT)
            try await until("it is ended") { !process.isRunning }
            #expect(process.terminationStatus == 1)
            #expect(try await jobs(server).first?.message == "cancelled by admin")

            let manual = try await server.slipway("jobs", "run", "dev", "cleanup", "--project", "sample", "-f")
            #expect(manual.output == "cleaned\n" && manual.status == 0, "\(manual)")
            let unknown = try await server.slipway("jobs", "run", "dev", "clean", "--project", "sample")
            #expect(unknown.status == 3 && unknown.errors.contains("it has: cleanup"), "\(unknown)")
            try await until("only the instance is left") { server.containers.count == 1 }
        }
    }

    @Test("Jobs and commands on a Docker host")
    func jobsOnADockerHost() async throws {
        try await ServerFixture.with { server in
            let home = URL(fileURLWithPath: "/tmp/sj-\(UUID().uuidString.prefix(8).lowercased())")
            try await DockerDaemon.with(home, network: 11) { daemon in
                try await server.stop()
                server.environment["SLIPWAY_TARGETS_LOCAL_KIND"] = "docker"
                server.environment["SLIPWAY_TARGETS_LOCAL_HOSTS"] = "unix://\(daemon.socket)"
                try await server.start()
                let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
                let project = try await server.addProject(repository)
                #expect(try await server.slipway("secret", "set", "key", "--project", "sample", input: "correct-horse").status == 0)
                let commit = try await repository.commit(
                    version: "1", pipeline: Self.pipeline("  jobs: {before: [\(Self.job("migrate", "echo one; sleep 8; echo two"))]}"))
                try await server.push(commit, to: project)
                try await until("the job runs", seconds: 40) { try await self.jobs(server).first?.state == "running" }
                try await server.kill9()
                try await server.start()
                let run = try await server.finishedRun(of: commit, seconds: 40)
                try await server.live(#require(run.digest), in: "dev", seconds: 40)
                let job = try #require(try await jobs(server).first)
                #expect(job.state == "succeeded", "\(job)")
                #expect(try await server.slipway("jobs", "logs", "\(job.id)").output == "one\ntwo\n")
                let outcome = try await server.slipway(
                    "exec", "dev", "--project", "sample", "--", "/bin/sh", "-c", "echo $KEY; echo careful >&2; exit 4")
                #expect(outcome.output == "***\n" && outcome.errors == "careful\n" && outcome.status == 4, "\(outcome)")
                try await until("only the instance is left") {
                    try await daemon.ask("GET", "/containers/json?all=1").components(separatedBy: "\"Id\"").count == 2
                }
                #expect(try await server.slipway("project", "remove", "sample").status == 0)
                #expect(try await daemon.ask("GET", "/containers/json?all=1").trimmingCharacters(in: .whitespacesAndNewlines) == "[]")
            }
        }
    }
}
