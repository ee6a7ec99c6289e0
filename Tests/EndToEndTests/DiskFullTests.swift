import Foundation
import Testing

extension EndToEnd {
    /// Takes all the room there is, but for some bytes.
    private func fill(_ server: ServerFixture, but left: Int = 0) async throws -> URL {
        let ballast = server.data.appendingPathComponent("ballast")
        // dd ends with the error that there is no room: that is what it is for. Then the last bytes, too.
        for size in ["1M", "4k"] {
            _ = try await command("/bin/sh", ["-c", "dd if=/dev/zero bs=\(size) status=none >> '\(ballast.path)' 2>/dev/null; true"])
        }
        if left > 0 { _ = try await command("/usr/bin/truncate", ["-s", "-\(left)", ballast.path]) }
        return ballast
    }

    @Test("Not one byte left: webhooks get 503 and are taken when they come again; a step under way goes on and its run succeeds")
    func nothingLeft() async throws {
        let steps = """
              - name: test
                image: library/busybox:1
                commands: ["i=0; while test ! -e go; do echo $i $(printf %0700d 0); sleep 0.1; i=$((i+1)); done; echo ended"]
              - name: package
                image: library/busybox:1
                depends_on: [test]
                commands: [mkdir -p dist, cp -R www dist/]
            """
        try await ServerFixture.with(dataDiskMiB: 300) { server in
            let project = try await begin(server)
            let commit = try await sample(server).commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            try await server.push(commit, to: project)
            let run = try await eventually("the step has begun") {
                guard let run = try await server.runs().first else { return nil as Int? }
                return try await server.log(of: run.id).contains("[test] 3 0") ? run.id : nil
            }
            let ballast = try await fill(server)
            let body = #"{"ref": "refs/heads/main", "after": "\#(commit)", "padding": "\#(String(repeating: "x", count: 30_000))"}"#
            let signature = try await server.sign(body, with: project.secret)
            func hook(_ id: String) async throws -> Answer {
                try await http(
                    "POST", project.hook,
                    headers: ["X-Slipway-Event": "push", "X-Slipway-Delivery": id, "X-Slipway-Signature": "sha256=\(signature)"],
                    body: Data(body.utf8))
            }
            for number in 0..<20 {
                let answer = try await hook("full-\(number)")
                #expect(answer.status == 503 && answer.retryAfter == "5" && answer.body.contains("is full"), "\(answer.status) \(answer.body)")
            }
            try await until("the server says so") { text(server.folder, "server.log").contains("nothing is left of the disk") }
            try FileManager.default.removeItem(at: ballast)
            #expect(try await hook("full-19").status == 202)
            // The line that was cut off ends with the next one.
            let lines = try await server.log(of: run).split(separator: "\n").count
            try await until("the log goes on") { try await server.log(of: run).split(separator: "\n").count > lines + 2 }
            try server.letGo(run)
            let finished = try await server.finishedRun(of: commit)
            let log = try await server.log(of: run)
            #expect(log.contains("[test] 3 0") && log.contains("[test] ended"), "\(log)")
            #expect(finished.state == "succeeded", "\(finished.error ?? "")")
            try await server.live(#require(finished.digest), in: "dev")
            // The webhook that came again.
            let next = try #require(try await server.runs().first { $0.id != run })
            try await until("its step has begun") { try await server.log(of: next.id).contains("[test] 3 0") }
            try server.letGo(next.id)
        }
    }

    @Test("A build that finds no room says so and leaves nothing half; with room again the same run succeeds; so does a compression")
    func noRoomForTheBuild() async throws {
        try await ServerFixture.with(dataDiskMiB: 300) { server in
            let project = try await begin(server)
            let repository = sample(server)
            _ = try await command(
                "/bin/sh", ["-c", "mkdir -p '\(repository.folder.path)/www'; head -c 9000000 /dev/urandom > '\(repository.folder.path)/www/large'"])
            let steps = """
                  - name: chatty
                    image: library/busybox:1
                    commands: ["head -c 300000 /dev/urandom | base64", echo the end, mkdir -p dist, mv www dist/]
                """
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            let ballast = try await fill(server, but: 24 << 20)
            try await server.push(commit, to: project)
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "failed" && run.error?.contains("No space left on device") == true, "\(run.error ?? "")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: server.data.appendingPathComponent("uploads").path).isEmpty)
            // Not even room for its compressed log.
            let log = "runs/\(run.id)/logs/chatty.log"
            _ = try await fill(server)
            try await server.stop()
            try FileManager.default.removeItem(at: ballast)
            let more = try await fill(server, but: 40 << 10)
            try await server.start(untilReady: false)
            try await until("the compression says that there is no room") { text(server.folder, "server.log").contains("could not be compressed") }
            #expect(try await server.log(of: run.id).contains("[chatty] the end\n"))
            try FileManager.default.removeItem(at: more)
            let again = try await server.slipway("rerun", "\(run.id)")
            #expect(again.status == 0, "\(again.errors)")
            try await until("the run succeeds") { try await server.runs().first?.state == "succeeded" }
            try await server.stop()
            try await server.start()
            try await until("the log is compressed") {
                FileManager.default.fileExists(atPath: server.data.appendingPathComponent(log + ".zst").path)
            }
            #expect(try await server.log(of: run.id).contains("[chatty] the end\n"))
        }
    }

    private func sample(_ server: ServerFixture) -> SampleRepository { SampleRepository(made: server.folder.appendingPathComponent("sample")) }

    /// The server with a project, and no reserve.
    private func begin(_ server: ServerFixture) async throws -> ProjectValue {
        server.environment["SLIPWAY_DISK_RESERVE"] = "0"
        try await server.stop()
        try await server.start()
        return try await server.addProject(SampleRepository(server.folder.appendingPathComponent("sample")))
    }
}
