import Foundation
import Testing

extension EndToEnd {
    @Test("A push arrives in dev, an approval brings the same digest to prod; the same delivery again is nothing new")
    func pushToProd() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(replicas: 2))
            let project = try await server.addProject(repository)

            #expect(try await server.push(commit, id: "one", to: project).duplicate == false)
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "succeeded")
            #expect(run.steps?.map(\.state) == ["succeeded", "succeeded"])
            let digest = try #require(run.digest)
            try await server.live(digest, in: "dev")
            #expect(try await server.answer(of: "dev").body == "version 1")
            #expect(server.containers.count == 2)

            let waiting = try await eventually("prod waits for approval") { try await server.stage("prod")?.waiting }
            #expect(waiting.digest == digest)
            #expect(try await server.answer(of: "prod").status != 200)
            let approved = try await server.slipway("approve", "prod", "--project", "sample")
            #expect(approved.status == 0, "\(approved.errors)")
            try await server.live(digest, in: "prod")
            #expect(try await server.answer(of: "prod").body == "version 1")
            #expect(server.containers.count == 4)

            #expect(try await server.push(commit, id: "one", to: project).duplicate)
            // A later delivery is worked on after an earlier one: when it is done, so is the other.
            try await repository.git("checkout", "-q", "-b", "side")
            try await server.push(commit, branch: "side", to: project)
            try await until("the deliveries are worked on") {
                try await server.deliveries().allSatisfy { $0.state == "processed" }
            }
            #expect(try await server.runs().count == 1)
            #expect(try await server.deliveries().count == 2)
        }
    }

    @Test("Rollback brings the earlier digest back")
    func rollback() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            let project = try await server.addProject(repository)
            let first = try await server.deliverToDev(commit, of: project)
            let second = try await server.deliverToDev(repository.commit(version: "2"), of: project)
            #expect(first != second)
            #expect(try await server.answer(of: "dev").body == "version 2")
            let back = try await server.slipway("rollback", "dev", "--project", "sample")
            #expect(back.status == 0, "\(back.errors)")
            try await server.live(first, in: "dev")
            #expect(try await server.answer(of: "dev").body == "version 1")
            #expect(try await server.runs().count == 2)
        }
    }

    @Test("Two servers build the same commit to the same digest")
    func sameDigest() async throws {
        try await ServerFixture.with { one in
            let repository = try await SampleRepository(one.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            let digest = try await one.deliverToDev(commit, of: one.addProject(repository))
            try await ServerFixture.with { other in
                let project = try await other.addProject(repository)
                #expect(try await other.deliverToDev(commit, of: project) == digest)
            }
        }
    }
}
