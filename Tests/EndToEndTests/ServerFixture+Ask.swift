import Foundation
import Testing

/// What people and forges do with a server.
extension ServerFixture {
    func slipway(_ arguments: String..., input: String = "") async throws -> Outcome {
        try await command(
            Self.binary, arguments, environment: ["SLIPWAY_URL": url, "SLIPWAY_TOKEN": token], input: Data(input.utf8))
    }

    /// A command's `--json`.
    func ask<T: Decodable>(_ arguments: [String], as type: T.Type = T.self) async throws -> T {
        let outcome = try await command(
            Self.binary, arguments + ["--json"], environment: ["SLIPWAY_URL": url, "SLIPWAY_TOKEN": token])
        guard outcome.status == 0 else { throw Failed("slipway \(arguments): \(outcome.errors)") }
        return try JSONDecoder().decode(T.self, from: Data(outcome.output.utf8))
    }

    func addProject(_ repository: SampleRepository, name: String = "sample") async throws -> ProjectValue {
        try await ask(["project", "add", name, repository.folder.path])
    }

    /// A webhook of the plain form, signed as the hook that `project add` prints does.
    @discardableResult
    func push(
        _ commit: String, branch: String = "main", id: String = UUID().uuidString, to project: ProjectValue
    )
        async throws -> WebhookAnswer
    {
        let body = #"{"ref":"refs/heads/\#(branch)","before":"\#(String(repeating: "0", count: 40))","after":"\#(commit)"}"#
        let answer = try await http(
            "POST", project.hook,
            headers: [
                "X-Slipway-Event": "push", "X-Slipway-Delivery": id,
                "X-Slipway-Signature": "sha256=\(try await sign(body, with: project.secret))",
            ], body: Data(body.utf8))
        #expect(answer.status == 202)
        return try JSONDecoder().decode(WebhookAnswer.self, from: Data(answer.body.utf8))
    }

    func sign(_ body: String, with secret: String) async throws -> String {
        let outcome = try await command(
            "/usr/bin/openssl", ["dgst", "-sha256", "-hmac", secret], input: Data(body.utf8))
        guard let signature = outcome.output.split(whereSeparator: \.isWhitespace).last else { throw Failed(outcome.errors) }
        return String(signature)
    }

    func runs() async throws -> [RunValue] { try await ask(["runs", "sample"]) }

    /// The run of a commit, with its steps and deployments, once it is over.
    func finishedRun(of commit: String, seconds: Double = 20) async throws -> RunValue {
        let run = try await eventually("the run of \(commit) is over", seconds: seconds) {
            try await runs().first { $0.commit == commit && $0.isOver }
        }
        return try await show(run.id)
    }

    /// Looks into the store, or changes it, past the server: the rows that a statement of SQL gives.
    func database(_ statement: String) async throws -> [Substring] {
        let script = """
            import sqlite3, sys
            database = sqlite3.connect(sys.argv[1], timeout=10)
            database.execute("PRAGMA foreign_keys = ON")
            for row in database.execute(sys.argv[2]).fetchall(): print(*row, sep="|")
            database.commit()
            """
        let outcome = try await command("/usr/bin/python3", ["-c", script, data.appendingPathComponent("slipway.db").path, statement])
        guard outcome.status == 0 else { throw Failed("\(statement): \(outcome.errors)") }
        return outcome.output.split(separator: "\n")
    }

    func show(_ run: Int) async throws -> RunValue { try await ask(["show", "\(run)"]) }

    /// Ends the waiting of a step with ``SampleRepository/wait``.
    func letGo(_ run: Int) throws { try Data().write(to: data.appendingPathComponent("runs/\(run)/workspace/go")) }

    /// A run's log as `slipway logs` prints it.
    func log(of run: Int) async throws -> String { try await slipway("logs", "\(run)").output }

    func stage(_ name: String) async throws -> StageValue? {
        try await ask(["status", "sample"], as: StatusValue.self).stages.first { $0.stage == name }
    }

    /// Pushes a commit and waits until dev runs its image; returns the digest.
    @discardableResult
    func deliverToDev(_ commit: String, of project: ProjectValue, seconds: Double = 20) async throws -> String {
        try await push(commit, to: project)
        let run = try await finishedRun(of: commit, seconds: seconds)
        guard run.state == "succeeded", let digest = run.digest else {
            throw Failed("run \(run.id) is \(run.state): \(run.error ?? "no digest")")
        }
        try await live(digest, in: "dev", seconds: seconds)
        return digest
    }

    func live(_ digest: String, in stage: String, seconds: Double = 20) async throws {
        try await until("\(stage) runs \(digest)", seconds: seconds) {
            guard let now = try await self.stage(stage) else { return false }
            if now.state == "failed" || now.state == "reverted" { throw Failed("\(stage) is \(now.state): \(now.problem ?? "")") }
            return now.digest == digest && ["live", "awaitingApproval"].contains(now.state)
        }
    }

    /// What a stage answers through the router.
    func answer(of stage: String, path: String = "/") async throws -> Answer {
        var answer = try await http(
            "GET", "http://127.0.0.1:\(routerPort)\(path)", headers: ["Host": "\(stage).localhost"])
        answer.body = answer.body.trimmingCharacters(in: .whitespacesAndNewlines)
        return answer
    }

    func deliveries(of project: String = "sample") async throws -> [DeliveryValue] {
        let answer = try await http(
            "GET", "\(url)/api/v1/projects/\(project)/deliveries", headers: ["Authorization": "Bearer \(token)"])
        return try JSONDecoder().decode([DeliveryValue].self, from: Data(answer.body.utf8))
    }

    /// The containers that exist, instances and steps.
    var containers: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: data.path + "/containers")) ?? []).sorted()
    }

    /// Those that serve. A step's is removed a little after its run goes on.
    var instances: [String] { containers.filter { !$0.hasPrefix("run-") } }

    /// Signs in, opens a page and sends its first form with that address as a browser does; returns where it leads each time.
    func press(_ page: String, form: String, times: Int = 1) async throws -> [String] {
        let jar = folder.appendingPathComponent("cookies").path
        func curl(_ arguments: String...) async throws -> String {
            let outcome = try await command("/usr/bin/curl", ["-sS", "--max-time", "20", "-b", jar, "-c", jar] + arguments)
            guard outcome.status == 0 else { throw Failed(outcome.errors) }
            return outcome.output
        }
        _ = try await curl("--data-urlencode", "token=\(token)", "\(url)/login")
        let html = try await curl("\(url)\(page)")
        guard let markup = html.components(separatedBy: "action=\"\(form)\">").dropFirst().first?.components(separatedBy: "</form>").first
        else { throw Failed("\(page) has no form \(form)") }
        let fields = markup.components(separatedBy: "<input ").dropFirst().map { input in
            let parts = input.components(separatedBy: "\"")
            return "\(parts[3])=\(parts[5])"
        }
        var places: [String] = []
        for _ in 0..<times {
            places.append(
                try await curl("-o", "/dev/null", "-w", "%{redirect_url}", "--data", fields.joined(separator: "&"), "\(url)\(form)"))
        }
        return places
    }
}
