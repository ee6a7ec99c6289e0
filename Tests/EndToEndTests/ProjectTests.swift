import Foundation
import Testing

extension EndToEnd {
    @Test("Two pipelines of one project may name their stages alike; a command then says which one it means")
    func equalStageNames() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let web = SampleRepository.pipeline()
            let api = web.replacingOccurrences(of: "shop/sample", with: "shop/api")
                .replacingOccurrences(of: "dev.localhost", with: "api-dev.localhost")
                .replacingOccurrences(of: "prod.localhost", with: "api-prod.localhost")
            try repository.write(api, to: "pipelines/api.yaml")
            let commit = try await repository.commit(version: "1", pipeline: web)
            try await server.push(commit, to: server.addProject(repository))
            try await until("both wait for prod", seconds: 40) {
                let stages = try await server.ask(["status", "sample"], as: StatusValue.self).stages
                return stages.filter { $0.waiting != nil }.count == 2
            }
            #expect(try await server.answer(of: "dev").body == "version 1")
            #expect(try await server.answer(of: "api-dev").body == "version 1")

            let unclear = try await server.slipway("approve", "prod", "--project", "sample")
            #expect(unclear.status != 0)
            #expect(unclear.errors.contains("--pipeline") && unclear.errors.contains("api, sample"), "\(unclear.errors)")
            let clear = try await server.slipway("approve", "prod", "--project", "sample", "--pipeline", "api")
            #expect(clear.status == 0, "\(clear.errors)")
            try await until("api is in prod") { try await server.answer(of: "api-prod").body == "version 1" }
            #expect(try await server.answer(of: "prod").status != 200)
        }
    }

    @Test("What a project left behind because its removal was cut off is removed at the next start")
    func cutOffRemoval() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            try await server.deliverToDev(repository.commit(version: "1"), of: server.addProject(repository))
            #expect(server.containers.count == 1)
            try await server.kill9()
            // As far as a removal gets when the server is killed right after its transaction.
            _ = try await server.database("DELETE FROM project")
            try await server.start()
            try await until("its instance is gone") { server.containers.isEmpty }
            try await until("its route is gone") { try await server.answer(of: "dev").status != 200 }
            for folder in ["mirrors", "runs"] {
                try await until("\(folder)/ is empty") {
                    try FileManager.default.contentsOfDirectory(atPath: server.data.appendingPathComponent(folder).path).isEmpty
                }
            }
        }
    }
}
