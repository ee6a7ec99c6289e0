import Foundation
import FreePort
import Testing

extension EndToEnd {
    @Test("A data directory of another machine is refused, and taken with --moved, once")
    func movedFolder() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            _ = try await server.deliverToDev(commit, of: server.addProject(repository))
            #expect(try await server.stop() == 0)
            let file = server.data.appendingPathComponent("machine")
            let mine = text(server.data, "machine")
            #expect(mine.count == 65)
            try Data("\(String(repeating: "a", count: 64))\n".utf8).write(to: file)
            let refused = try await command(
                ServerFixture.binary, ["serve", "--data", server.data.path, "--listen", "127.0.0.1:\(server.port)"])
            #expect(refused.status == 1 && refused.errors.contains("was last used on another machine"), "\(refused.errors)")
            #expect(refused.errors.contains("--moved"))
            #expect(text(server.data, "machine") != mine)
            try await server.start(options: ["--moved"])
            #expect(text(server.data, "machine") == mine)
            #expect(try await server.stop() == 0)
            try await server.start()
            #expect(try await server.answer(of: "dev").body == "version 1")
        }
    }

    @Test("Two servers never share a database file, by whatever name it is reached")
    func twoServers() async throws {
        try await ServerFixture.with { server in
            let link = server.folder.appendingPathComponent("linked"), file = server.folder.appendingPathComponent("link.db")
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: server.data)
            try FileManager.default.createSymbolicLink(at: file, withDestinationURL: server.data.appendingPathComponent("slipway.db"))
            func serve(_ data: String, store: String = "") async throws -> Outcome {
                try await command(
                    ServerFixture.binary, ["serve", "--data", data, "--listen", "127.0.0.1:\(freePort())", "--router-port", "\(freePort())"],
                    environment: ["SLIPWAY_STORE": store])
            }
            let other = "\(server.folder.path)/other"
            let cases = [
                (try await serve(link.path), "another server uses the data directory"),
                (try await serve(other, store: "\(server.data.path)/slipway.db"), "a server uses the store"),
                (try await serve(other, store: "\(link.path)/slipway.db"), "a server uses the store"),
                (try await serve(other, store: file.path), "a server uses the store"),
            ]
            for (outcome, message) in cases { #expect(outcome.status == 1 && outcome.errors.contains(message), "\(outcome.errors)") }
        }
    }

    @Test("Damage of the database: webhooks get 503, readiness says why, nothing is written; the start is refused; a backup puts it right")
    func damagedStore() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            let project = try await server.addProject(repository)
            _ = try await server.deliverToDev(commit, of: project)
            let file = server.data.appendingPathComponent("slipway.db").path, backup = "\(server.folder.path)/backup.db"
            #expect(try await command(ServerFixture.binary, ["store", "backup", backup, "--data", server.data.path]).status == 0)

            // Everything but the first page, in the database and in the log beside it.
            for (name, head) in [(file, 4096), ("\(file)-wal", 32)] {
                let handle = try #require(FileHandle(forWritingAtPath: name))
                let size = try Int(handle.seekToEnd())
                try handle.seek(toOffset: UInt64(head))
                try handle.write(contentsOf: Data(repeating: 0xa5, count: max(0, size - head)))
                try handle.close()
            }
            // What is in memory serves for a moment.
            try await until("the damage is met") {
                for path in ["api/v1/runs/1", "runs/1", "ledger"] { _ = try await http("GET", "\(server.url)/\(path)") }
                return try await http("GET", "\(server.url)/readyz").status == 503
            }
            let ready = try await http("GET", "\(server.url)/readyz")
            #expect(ready.body.contains("\(file) is damaged"), "\(ready.body)")
            let body = #"{"ref": "refs/heads/main", "after": "\#(commit)"}"#
            let signature = try await server.sign(body, with: project.secret)
            for number in 0..<3 {
                let answer = try await http(
                    "POST", project.hook,
                    headers: [
                        "X-Slipway-Event": "push", "X-Slipway-Delivery": "late-\(number)", "X-Slipway-Signature": "sha256=\(signature)",
                    ], body: Data(body.utf8))
                #expect(answer.status == 503 && answer.body.contains("slipway store restore"), "\(answer.status) \(answer.body)")
                #expect(answer.retryAfter == "60")
            }
            #expect(try await http("GET", "\(server.url)/healthz").status == 200)
            #expect(try await server.answer(of: "dev").body == "version 1")
            try await server.kill9()

            let refused = try await command(
                ServerFixture.binary, ["serve", "--data", server.data.path, "--listen", "127.0.0.1:\(server.port)"])
            #expect(refused.status == 1 && refused.errors.contains("\(file) is damaged"), "\(refused.errors)")
            for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: file + suffix) {
                try FileManager.default.moveItem(atPath: file + suffix, toPath: "\(server.folder.path)/broken\(suffix)")
            }
            let restored = try await command(ServerFixture.binary, ["store", "restore", backup, "--data", server.data.path])
            #expect(restored.status == 0, "\(restored.errors)")
            try await server.start()
            #expect(try await server.runs().map(\.commit) == [commit])
        }
    }

    @Test("A database file that is empty, cut short or not what was written is refused at the start and left as it is")
    func damagedAtTheStart() async throws {
        func noise(_ count: Int) -> Data { Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 197 &+ 13) }) }
        let cases: [(String, (inout Data) -> Void)] = [
            ("", { $0 = Data() }),
            ("", { $0 = $0.prefix($0.count / 2) }),
            ("", { $0.replaceSubrange(0..<80, with: noise(80)) }),
            (
                "",
                { data in
                    for page in 2..<(data.count / 4096) { data.replaceSubrange((page * 4096)..<(page * 4096 + 1024), with: noise(1024)) }
                }
            ),
            ("-wal", { $0.replaceSubrange(4..<12, with: noise(8)) }),
            ("-wal", { $0.replaceSubrange(200..<300, with: noise(100)) }),
        ]
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            _ = try await server.deliverToDev(repository.commit(version: "1"), of: server.addProject(repository))
            try await server.kill9()
            let file = server.data.appendingPathComponent("slipway.db").path
            let sound = try ["", "-wal"].map { try Data(contentsOf: URL(fileURLWithPath: file + $0)) }
            func put(_ files: [Data]) throws {
                for (suffix, data) in zip(["", "-wal"], files) { try data.write(to: URL(fileURLWithPath: file + suffix)) }
            }
            for (number, (suffix, edit)) in cases.enumerated() {
                var files = sound
                edit(&files[suffix.isEmpty ? 0 : 1])
                try put(files)
                let refused = try await command(
                    ServerFixture.binary, ["serve", "--data", server.data.path, "--listen", "127.0.0.1:\(server.port)"])
                #expect(
                    refused.status == 1 && refused.errors.contains("\(file) is damaged") && refused.errors.contains("slipway store restore"),
                    "case \(number): \(refused.errors)")
                #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == files[0], "case \(number)")
            }
            try put(sound)
            try await server.start()
            #expect(try await server.runs().map(\.state) == ["succeeded"])
        }
    }

    @Test("Logs of runs that are over are compressed and read the same; after their time they go, and the run says so")
    func keptLogs() async throws {
        let steps = """
              - name: chatty
                image: library/busybox:1
                commands: ["i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", mkdir -p dist, cp -R www dist/]
            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            try await server.push(commit, to: server.addProject(repository))
            let run = try await server.finishedRun(of: commit).id
            let before = try await server.log(of: run)
            #expect(before.contains("[chatty] line 2999\n"))
            let plain = "runs/\(run)/logs/chatty.log"
            #expect(FileManager.default.fileExists(atPath: server.data.appendingPathComponent(plain).path))
            // A compression that was cut off is there when the server comes back.
            try await server.kill9()
            try Data("half".utf8).write(to: server.data.appendingPathComponent("\(plain).zst.part"))
            try await server.start()
            try await until("the log is compressed") {
                !FileManager.default.fileExists(atPath: server.data.appendingPathComponent(plain).path)
            }
            #expect(try await server.log(of: run) == before)

            try await server.stop()
            server.environment["SLIPWAY_LOGS_KEEP"] = "2s"
            try await server.start()
            try await until("the log is removed") { try await server.log(of: run).isEmpty }
            let said = try await server.slipway("logs", "\(run)")
            #expect(said.status == 0 && said.errors.contains("step chatty: the log was removed after 2.0 s"), "\(said.errors)")
            let page = try await http("GET", "\(server.url)/runs/\(run)")
            #expect(page.status == 200 && page.body.contains("The log was removed after 2.0 s."))

            let wrong = try await command(
                ServerFixture.binary, ["serve", "--data", "\(server.folder.path)/x"], environment: ["SLIPWAY_LOGS_KEEP": "0"])
            #expect(wrong.status == 2 && wrong.errors.contains("forever"), "\(wrong.errors)")
        }
    }
}
