import Foundation
import Testing

extension EndToEnd {
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
