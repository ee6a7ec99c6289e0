import Foundation
import Testing

extension EndToEnd {
    @Test("Three services and a database go from a push to prod as a train; what fails brings all of them back")
    func shop() async throws {
        try await withFolder { folder in
            _ = try await BaseImage.make(in: folder)
            let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../scripts/shop")
            let outcome = try await command(
                script.standardizedFileURL.path, [], environment: ["SLIPWAY": ServerFixture.binary, "SLIPWAY_IMAGES": folder.path])
            #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
            #expect(outcome.output.contains(", 0 failed"), "\(outcome.output)")
        }
    }
}
