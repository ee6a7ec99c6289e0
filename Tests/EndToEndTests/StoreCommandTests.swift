import Foundation
import PostgresCluster
import Testing

extension EndToEnd {
    @Test("A store is backed up while the server runs, moved to PostgreSQL, and put back; what is there is not overwritten")
    func storeCommands() async throws {
        let url = try await PostgresCluster.shared().newDatabase()
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            _ = try await server.deliverToDev(commit, of: server.addProject(repository))
            let runs = try await server.runs().map(\.id)
            func store(_ words: String..., at place: String = "") async throws -> Outcome {
                try await command(
                    ServerFixture.binary, ["store"] + words, environment: ["SLIPWAY_DATA": server.data.path, "SLIPWAY_STORE": place])
            }
            let file = server.data.appendingPathComponent("slipway.db").path, backup = "\(server.folder.path)/backup.db"

            let written = try await store("backup", backup)
            #expect(written.status == 0, "\(written.errors)")
            let again = try await store("backup", backup)
            #expect(again.status == 3 && again.errors.contains("--force"))
            let busy = try await store("restore", backup, "--force")
            #expect(busy.status == 1 && busy.errors.contains("a server uses the store"), "\(busy.errors)")
            #expect(try await store("copy", "--from", file, "--to", url).errors.contains("a server uses the store"))
            #expect(try await server.stop() == 0)

            let copied = try await store("copy", "--from", file, "--to", url)
            #expect(copied.status == 0, "\(copied.errors)")
            #expect(!(copied.output + copied.errors).contains(PostgresCluster.password))
            let twice = try await store("copy", "--from", file, "--to", url)
            #expect(twice.status == 3 && twice.errors.contains("not empty"), "\(twice.errors)")
            let fromDatabase = try await store("backup", "\(server.folder.path)/second.db", at: url)
            #expect(fromDatabase.status == 0, "\(fromDatabase.errors)")
            let full = try await store("restore", backup)
            #expect(full.status == 3 && full.errors.contains("not empty"), "\(full.errors)")
            let restored = try await store("restore", "\(server.folder.path)/second.db", "--force")
            #expect(restored.status == 0, "\(restored.errors)")
            #expect(try await store("migrate", at: url).output.contains("is up to date"))
            let nonsense = try await store("restore", "\(server.folder.path)/server.log", "--force")
            #expect(nonsense.status == 1 && nonsense.errors.contains("slipway store backup"), "\(nonsense.errors)")

            // The way there and back has lost nothing.
            try await server.start()
            #expect(try await server.runs().map(\.id) == runs)
            #expect(try await server.answer(of: "dev").body == "version 1")
        }
    }
}
