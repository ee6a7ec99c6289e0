import Foundation
import StateSQLite
import StateStore
import SystemPackage
import Testing

extension EndToEnd {
    private static let steps = """
        when: [{event: push, branch: main}]
        steps:
          - {name: test, image: library/busybox:1, commands: ["true"]}

        """

    /// What a server leaves that dies `times` times after it took up work: the store's rows are claimed as it does it, and nobody
    /// gives them back in order.
    private func die(
        _ times: Int, in server: ServerFixture, beginning claim: (SQLiteStore) async throws -> Int64?
    ) async throws {
        let store = try SQLiteStore(file: FilePath(server.data.path).appending("slipway.db")) { Date.now.timeIntervalSince1970 }
        for _ in 0..<times {
            #expect(try await claim(store) != nil)
            try await store.releaseLeases(holder: "killed", orderly: false)
        }
    }

    @Test("a delivery that was being worked on at three deaths of the server is quarantined, and can be tried again")
    func poisonDelivery() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: Self.steps)
            _ = try await server.addProject(repository)
            try await server.stop()
            try await die(3, in: server) { store in
                _ = try await store.accept(
                    NewDelivery(
                        project: "sample", forge: "plain", forgeID: "poison", headers: [:], body: [], event: "push", branch: "main",
                        commit: commit))
                return try await store.claimDelivery(holder: "killed", leaseSeconds: 60)?.id
            }
            try await server.start()
            let delivery = try await eventually("it is quarantined") {
                try await server.ask(["deliveries", "sample"], as: [DeliveryRow].self).first { $0.state == "quarantined" }
            }
            #expect(delivery.outcome?.contains("ended 3 times") == true, "\(delivery.outcome ?? "")")
            #expect(try await server.runs().isEmpty)
            let page = try await http("GET", "\(server.url)/projects/sample", headers: ["Accept": "text/html"])
            #expect(page.body.contains("Delivery \(delivery.id) is quarantined"))
            #expect(try await server.slipway("deliveries", "retry", "\(delivery.id)").status == 0)
            #expect(try await server.finishedRun(of: commit).state == "succeeded")
            let again = try await server.slipway("deliveries", "retry", "\(delivery.id)")
            #expect(again.status == 3, "\(again.errors)")
        }
    }

    @Test("a run that was being worked on at three deaths of the server fails with the reason; one that saw two goes on")
    func poisonRun() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let pipeline = Self.steps.replacing("\"true\"", with: "sleep 30")
            let first = try await repository.commit(version: "1", pipeline: pipeline)
            let project = try await server.addProject(repository)
            try await server.push(first, to: project)
            try await until("it runs") { try await server.runs().first?.state == "running" }
            // An orderly stop does not count.
            try await server.stop()
            try await die(3, in: server) { try await $0.claimRun(holder: "killed", leaseSeconds: 60)?.id }
            try await server.start()
            let run = try await server.finishedRun(of: first)
            #expect(run.state == "failed" && run.error?.contains("ended 3 times") == true, "\(run.error ?? "")")
            let second = try await repository.commit(version: "2", pipeline: Self.steps.replacing("\"true\"", with: SampleRepository.wait))
            try await server.push(second, to: project)
            try await until("it runs") { try await server.runs().first?.state == "running" }
            try await server.stop()
            try await die(2, in: server) { try await $0.claimRun(holder: "killed", leaseSeconds: 60)?.id }
            try await server.start()
            try server.letGo(#require(try await server.runs().first).id)
            #expect(try await server.finishedRun(of: second).state == "succeeded")
        }
    }

    @Test("a push whose webhook never comes is found; when the webhook comes late there is still one run")
    func lostWebhook() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            _ = try await repository.commit(version: "1", pipeline: Self.steps)
            let project = try await server.addProject(repository)
            try await until("the branches were looked at") {
                try await server.database("SELECT project FROM reconciliation WHERE at IS NOT NULL") == ["sample"]
            }
            try await server.stop()
            let commit = try await repository.commit(version: "2", pipeline: Self.steps)
            server.environment = ["SLIPWAY_RECONCILE_INTERVAL": "1s"]
            try await server.start()
            #expect(try await server.finishedRun(of: commit).state == "succeeded")
            try await server.push(commit, to: project)
            try await until("the late webhook is dealt with") {
                try await server.deliveries().first { $0.forge == "plain" }?.state == "processed"
            }
            #expect(try await server.runs().map(\.commit) == [commit])
            let next = try await repository.commit(version: "3", pipeline: Self.steps)
            #expect(try await server.finishedRun(of: next).state == "succeeded")
            try FileManager.default.moveItem(atPath: repository.folder.path, toPath: repository.folder.path + ".aside")
            try await until("the page says so") {
                try await http("GET", "\(server.url)/projects/sample", headers: ["Accept": "text/html"]).body
                    .contains("The repository cannot be read")
            }
            try FileManager.default.moveItem(atPath: repository.folder.path + ".aside", toPath: repository.folder.path)
        }
    }
}

private struct DeliveryRow: Decodable {
    var id: Int
    var state: String
    var outcome: String?
}
