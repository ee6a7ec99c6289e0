import Foundation
import Testing

extension EndToEnd {
    @Test("On a full disk no run begins, readiness says why, nothing is lost; with room again it goes on alone")
    func fullDisk() async throws {
        try await ServerFixture.with(dataDiskMiB: 320) { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            let project = try await server.addProject(repository)
            let ballast = server.data.appendingPathComponent("ballast")
            let filled = try await command(
                "/bin/dd", ["if=/dev/zero", "of=\(ballast.path)", "bs=1M", "count=128", "status=none"])
            #expect(filled.status == 0)
            let notReady = try await http("GET", "\(server.url)/readyz")
            #expect(notReady.status == 503 && notReady.body.contains("is full") && notReady.body.contains("free some space"))
            let doctor = try await server.slipway("doctor", "--data", server.data.path)
            #expect(doctor.status == 1 && doctor.output.contains("is full"), "\(doctor.output)")

            try await server.push(commit, to: project)
            try await until("the delivery became a run") { try await server.runs().count == 1 }
            try await until("the log says it") { text(server.folder, "server.log").contains("no run begins") }
            #expect(try await server.runs().map(\.state) == ["queued"])

            try FileManager.default.removeItem(at: ballast)
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "succeeded", "\(run.error ?? "")")
            try await server.live(#require(run.digest), in: "dev")
        }
    }
}
