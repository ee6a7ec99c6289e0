import BlockingQueue
import CLinux
import Glibc
import SystemPackage
import TarArchive

extension BuildSession {
    /// A layer that holds the value of a secret is refused, naming the file.
    func refuseSecrets(in changes: FilePath) async throws {
        // Short values are found everywhere by chance.
        let values = request.secrets.merging(request.forbidden) { $1 }.filter { $0.value.count >= 8 }.sorted { $0.key < $1.key }.map {
            ($0.key, $0.value)
        }
        guard !values.isEmpty else { return }
        try await queue.run { cancellation in
            for entry in try OverlayChanges.entries(of: changes, isCancelled: { cancellation.isCancelled }) {
                guard case .file(let path) = entry.content else { continue }
                if let id = try SecretScan(values: values).find(in: path) {
                    throw ContainerfileBuildError(
                        .invalidSource, "/\(entry.path) holds the value of the secret '\(id)'; it would be in the image for all to read",
                        hint: "do not write the secret to a file, or write it below a mount of type tmpfs")
                }
            }
        }
    }
}

/// Looks for values in a file, also where they lie across two pieces. Blocking.
struct SecretScan {
    let values: [(id: String, value: [UInt8])]

    func find(in path: FilePath) throws -> String? {
        let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow])
        return try file.closeAfter {
            let overlap = (values.map(\.value.count).max() ?? 1) - 1
            var buffer = [UInt8](repeating: 0, count: overlap + 1 << 18)
            var kept = 0
            while true {
                let count = try buffer.withUnsafeMutableBytes { try file.read(into: .init(rebasing: $0[kept...])) }
                if count == 0 { return nil }
                let filled = kept + count
                let found = buffer.withUnsafeBytes { bytes in
                    values.first { _, value in
                        guard let base = bytes.baseAddress else { return false }
                        return value.withUnsafeBytes { memmem(base, filled, $0.baseAddress, $0.count) } != nil
                    }
                }
                if let found { return found.id }
                let keep = min(overlap, filled)
                buffer.replaceSubrange(0..<keep, with: Array(buffer[(filled - keep)..<filled]))
                kept = keep
            }
        }
    }
}
