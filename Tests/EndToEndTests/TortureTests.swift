import Foundation
import Testing

extension EndToEnd {
    @Test("Servers that are killed, frozen, without store or disk lose nothing and do nothing twice")
    func torture() async throws {
        try await withFolder { folder in
            _ = try await BaseImage.make(in: folder)
            let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../scripts/torture")
            let outcome = try await command(
                script.standardizedFileURL.path,
                ["--kills", "14", "--pause", "0.7", "--postgres-restarts", "2", "--away", "2", "--frozen", "11", "--full", "3"],
                environment: ["SLIPWAY": ServerFixture.binary, "SLIPWAY_IMAGES": folder.path])
            #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
            #expect(outcome.output.contains("nothing lost, nothing twice, nothing left"))
        }
    }
}
