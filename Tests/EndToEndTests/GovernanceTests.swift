import Foundation
import Testing

extension EndToEnd {
    /// prod asks for two of the group, not the author, and is frozen at every moment.
    private static let governed = SampleRepository.pipeline().replacing(
        "approval: {count: 1}, drain: 1s}",
        with: """
            approval: {count: 2, from: ["group:sre"], not_author: true}, drain: 1s,
                     freeze: [{cron: "* * * * *", for: 2m, tz: Europe/Berlin}]}
            """)

    @Test("People approve by rule, a freeze holds what is approved until somebody sets it aside, and the ledger tells it all")
    func governance() async throws {
        try await ServerFixture.with { server in
            let config = server.folder.appendingPathComponent("slipway.yaml")
            try Data(
                """
                people:
                  ada: {emails: [ada@example.org], groups: [sre]}
                  bob: {groups: [sre]}
                  eve: {groups: [sre]}
                  max: {emails: [], groups: []}
                freeze:
                  leap: {cron: "0 0 29 2 *", for: 1h, tz: Europe/Berlin}

                """.utf8
            ).write(to: config)
            server.environment["SLIPWAY_CONFIG"] = config.path
            #expect(try await server.stop() == 0)
            try await server.start()
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            let digest = try await server.deliverToDev(try await repository.commit(version: "1", pipeline: Self.governed), of: project)

            // Tokens of people.
            var tokens: [String: String] = [:]
            for name in ["ada", "bob", "eve", "max"] {
                let made = try await server.slipway(
                    "token", "create", "\(name)-laptop", "--person", name, "--role", name == "max" ? "viewer" : "deployer")
                #expect(made.status == 0, "\(made.errors)")
                tokens[name] = made.output.trimmingCharacters(in: .whitespacesAndNewlines)
            }
            let stranger = try await server.slipway("token", "create", "zoe", "--person", "zoe")
            #expect(stranger.status != 0 && stranger.errors.contains("does not know 'zoe'"))
            func slipway(as name: String, _ arguments: String...) async throws -> Outcome {
                try await command(
                    ServerFixture.binary, arguments, environment: ["SLIPWAY_URL": server.url, "SLIPWAY_TOKEN": tokens[name] ?? ""])
            }
            #expect(try await slipway(as: "bob", "token", "list").status == 3)
            #expect(try await slipway(as: "max", "trigger", "sample").status == 3)
            #expect(try await slipway(as: "max", "status", "sample").status == 0)

            // Approvals.
            _ = try await eventually("prod waits for approval") { try await server.stage("prod")?.waiting }
            let asked = try await slipway(as: "max", "why", "prod", "--project", "sample")
            #expect(asked.output.contains("waits for 2 approvals of bob, eve"), "\(asked.output)\(asked.errors)")
            for (name, reason) in [("ada", "wrote this commit"), ("max", "needs the role deployer")] {
                let refused = try await slipway(as: name, "approve", "prod", "--project", "sample")
                #expect(refused.status == 3 && refused.errors.contains(reason), "\(refused.errors)")
            }
            let other = "sha256:" + String(repeating: "0", count: 64)
            let wrong = try await slipway(as: "bob", "approve", "prod", "--project", "sample", "--digest", other)
            #expect(wrong.status == 3 && wrong.errors.contains("another image"), "\(wrong.errors)")
            try await approveOnThePage(of: server, token: tokens["bob"] ?? "", digest)
            let twice = try await slipway(as: "bob", "approve", "prod", "--project", "sample")
            #expect(twice.status == 3 && twice.errors.contains("has decided already"), "\(twice.errors)")
            let plan = try await slipway(as: "max", "plan", "prod", "--project", "sample")
            #expect(
                plan.output.contains("It needs 1 approval, which may come from eve") && plan.output.contains("Frozen"), "\(plan.output)\(plan.errors)"
            )
            #expect(plan.output.contains("host: prod.localhost (new)"), "\(plan.output)")
            #expect(try await slipway(as: "eve", "approve", "prod", "--project", "sample", "--comment", "good").status == 0)

            // The freeze, also after a restart.
            try await until("it waits for the freeze to end") {
                try await slipway(as: "max", "why", "prod", "--project", "sample").output.contains("waits for the freeze to end")
            }
            #expect(try await server.stop() == 0)
            try await server.start()
            #expect(try await server.answer(of: "prod").status != 200)
            try await overrideOnThePage(of: server, token: tokens["eve"] ?? "", viewer: tokens["max"] ?? "")
            try await server.live(digest, in: "prod")
            let late = try await slipway(as: "eve", "override", "prod", "--project", "sample", "--reason", "the shop is down")
            #expect(late.status != 0 && late.errors.contains("waits for a freeze"), "\(late.errors)")
            let after = try await slipway(as: "max", "why", "prod", "--project", "sample")
            #expect(after.output.contains("is live; there is nothing newer"), "\(after.output)")

            // A revoked token is nobody's.
            #expect(try await server.slipway("token", "revoke", "bob-laptop").status == 0)
            #expect(try await slipway(as: "bob", "approve", "prod", "--project", "sample").status == 3)

            try await checkLedger(of: server)
            try await checkPages(of: server, token: tokens["eve"] ?? "")
        }
    }

    @Test(
        "Mistakes in who is who, and when nothing begins, are told with their place before the server starts",
        arguments: [
            ("SLIPWAY_PEOPLE", "ann", "SLIPWAY_PEOPLE:1:1: people is not a mapping of names"),
            ("SLIPWAY_PEOPLE", "{admin: {}}", "SLIPWAY_PEOPLE:1:2: 'admin' is the server's own name"),
            ("SLIPWAY_PEOPLE", "{a b: {}}", "'a b' is not a person's name"),
            ("SLIPWAY_PEOPLE", "{ann: {emails: a@b}}", "emails of ann is not a list"),
            ("SLIPWAY_PEOPLE", "{ann: {mails: []}}", "ann: there is no 'mails'"), ("SLIPWAY_PEOPLE", "{ann: [sre]}", "ann is not a mapping"),
            ("SLIPWAY_PEOPLE", "{ann: {", "SLIPWAY_PEOPLE:"), ("SLIPWAY_FREEZE", "[]", "freeze is not a mapping"),
            ("SLIPWAY_FREEZE", "{w: {cron: '0 16 * * FRI'}}", "the freeze has no length"),
            ("SLIPWAY_FREEZE", "{w: {cron: '0 16 * *', for: 1h}}", "it has 4 fields"),
            ("SLIPWAY_FREEZE", "{w: {cron: '0 16 * * FRI', for: 1s}}", "for: '1s' is not a duration from 1m to 365d"),
            ("SLIPWAY_FREEZE", "{w: {cron: '0 16 * * FRI', for: 1h, tz: Berlin}}", "there is no time zone 'Berlin'"),
            ("SLIPWAY_FREEZE", "{w: {every: day}}", "freeze w has no 'every'"),
        ])
    func governanceMistakes(_ name: String, _ text: String, _ message: String) async throws {
        let outcome = try await command(ServerFixture.binary, ["serve", "--data", "/nonexistent/slipway"], environment: [name: text])
        #expect(outcome.status == 2 && outcome.errors.contains(message), "\(outcome.status) \(outcome.errors)")
    }

    private func checkLedger(of server: ServerFixture) async throws {
        let shown = try await server.slipway("ledger", "show", "--project", "sample")
        for word in ["built", "approved", "override", "eve", "the shop is down", "succeeded"] {
            #expect(shown.output.contains(word), "\(shown.output)")
        }
        let file = server.folder.appendingPathComponent("ledger.jsonl")
        let exported = try await server.slipway("ledger", "export", file.path)
        #expect(exported.status == 0, "\(exported.errors)")
        let head = String(exported.output.split(whereSeparator: \.isWhitespace).last ?? "")
        for arguments in [["ledger", "verify"], ["ledger", "verify", file.path], ["ledger", "verify", file.path, "--head", head]] {
            let verified = try await command(
                ServerFixture.binary, arguments, environment: ["SLIPWAY_URL": server.url, "SLIPWAY_TOKEN": server.token])
            #expect(verified.status == 0 && verified.output.contains(head), "\(verified.errors)")
        }
        var bytes = try Data(contentsOf: file)
        let place = try #require(bytes.firstRange(of: Data("the shop is down".utf8)))
        bytes[place.lowerBound] ^= 1
        try bytes.write(to: file)
        let changed = try await server.slipway("ledger", "verify", file.path)
        #expect(changed.status == 1 && changed.errors.contains("does not fit"), "\(changed.errors)")
        #expect(try await server.slipway("ledger", "verify", "--head", String(repeating: "0", count: 64)).status == 1)
    }

    /// Signs in and sends the form that is shown.
    private func approveOnThePage(of server: ServerFixture, token: String, _ digest: String) async throws {
        let browse = try await signIn(to: server, token: token)
        let page = try await browse(["\(server.url)/projects/sample"])
        let form = try #require(page.components(separatedBy: "class=\"decide\">").dropFirst().first?.components(separatedBy: "</form>").first)
        let action = try #require(page.components(separatedBy: "/approve\" class=\"decide\">").first?.components(separatedBy: "action=\"").last)
        func value(_ name: String) throws -> String { try Self.field(name, of: form) }
        #expect(try value("digest") == digest && page.contains("0 of 2 approvals"))
        func send(configuration: String) async throws -> String {
            try await browse([
                "-w", "%{http_code} %{redirect_url}", "-H", "Accept: text/html", "--data-urlencode", "csrf=\(try value("csrf"))",
                "--data-urlencode", "digest=\(digest)", "--data-urlencode", "configuration=\(configuration)", "--data", "comment=fine",
                "\(server.url)\(action)/approve",
            ])
        }
        let stale = try await send(configuration: "other")
        #expect(stale.contains("another configuration") && stale.contains("409"), "\(stale.suffix(800))")
        let sent = try await send(configuration: try value("configuration"))
        #expect(sent.hasSuffix("303 \(server.url)/projects/sample?done=recorded"), "\(sent.suffix(800))")
        let after = try await browse(["\(server.url)/projects/sample"])
        #expect(after.contains("1 of 2 approvals") && after.contains("bob has decided already"))
    }

    /// Sets the freeze aside where the plan is shown; who only looks is not offered that.
    private func overrideOnThePage(of server: ServerFixture, token: String, viewer: String) async throws {
        let address = "\(server.url)/projects/sample/stages/prod/plan"
        let looked = try await signIn(to: server, token: viewer)([address])
        #expect(looked.contains("Frozen") && !looked.contains("/override\""), "\(looked.suffix(2000))")
        let browse = try await signIn(to: server, token: token)
        let page = try await browse([address])
        let form = try #require(page.components(separatedBy: "/projects/sample/stages/prod/override\"").dropFirst().first, "\(page.suffix(2000))")
        func value(_ name: String) throws -> String { try Self.field(name, of: form) }
        func send(_ reason: String) async throws -> String {
            try await browse([
                "-w", "%{http_code} %{redirect_url}", "-H", "Accept: text/html", "--data-urlencode", "csrf=\(try value("csrf"))",
                "--data-urlencode", "pipeline=\(try value("pipeline"))", "--data-urlencode", "reason=\(reason)",
                "\(server.url)/projects/sample/stages/prod/override",
            ])
        }
        let refused = try await send(" ")
        #expect(refused.contains("a reason of 1 to 500 characters") && refused.contains("400"), "\(refused.suffix(800))")
        let sent = try await send("the shop is down")
        #expect(sent.hasSuffix("303 \(server.url)/projects/sample?done=overridden"), "\(sent.suffix(800))")
    }

    private static func field(_ name: String, of form: String) throws -> String {
        try #require(form.components(separatedBy: "name=\"\(name)\" value=\"").dropFirst().first?.components(separatedBy: "\"").first)
    }

    private func signIn(to server: ServerFixture, token: String) async throws -> ([String]) async throws -> String {
        let jar = server.folder.appendingPathComponent("cookies-\(UUID().uuidString)").path
        func curl(_ arguments: [String]) async throws -> String {
            try await command("/usr/bin/curl", ["-sS", "--max-time", "20", "-b", jar, "-c", jar] + arguments).output
        }
        _ = try await curl(["--data-urlencode", "token=\(token)", "\(server.url)/login"])
        return curl
    }

    private func checkPages(of server: ServerFixture, token: String) async throws {
        let browse = try await signIn(to: server, token: token)
        let page = try await browse(["\(server.url)/projects/sample"])
        #expect(page.contains(">eve<") && page.contains("Sign out"), "\(page.prefix(3000))")
        let ledger = try await browse(["\(server.url)/ledger"])
        #expect(ledger.contains("Override") && ledger.contains("the shop is down"))
        let plan = try await browse(["\(server.url)/projects/sample/stages/prod/plan"])
        #expect(plan.contains("No commit that is not live.") && plan.contains("Nothing but the image."))
    }
}
