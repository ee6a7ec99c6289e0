import BlockingQueue
import ContainerRuntime
import FoundationEssentials
import Glibc
import SystemPackage
import TarArchive

/// A build's id, its lock and its temporary folder. Whoever finds a lock that nobody holds may clean up behind it.
struct BuildPlace: Sendable {
    let id: String
    private let parts: ContainerfileBuilder.Parts
    private let lock: FileDescriptor

    var temporary: FilePath { Self.temporary(parts).appending(id) }
    private static func temporary(_ parts: ContainerfileBuilder.Parts) -> FilePath { parts.folder.appending("temporary") }
    private static func locks(_ parts: ContainerfileBuilder.Parts) -> FilePath { parts.folder.appending("locks") }

    init(_ parts: ContainerfileBuilder.Parts) throws {
        self.parts = parts
        let digits = String(UInt64.random(in: 0 ... .max), radix: 36)
        id = "build-" + digits
        // Others see the lock once it is held.
        let hidden = Self.locks(parts).appending(".\(id)")
        do {
            for folder in [Self.locks(parts), Self.temporary(parts).appending(id)] {
                try FileManager.default.createDirectory(
                    atPath: folder.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            }
            lock = try FileDescriptor.open(
                hidden, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
        } catch {
            throw ContainerfileBuildError(.failed, "cannot write \(parts.folder): \(error)", hint: "check the data directory")
        }
        guard flock(lock.rawValue, LOCK_EX | LOCK_NB) == 0, rename(hidden.string, Self.locks(parts).appending(id).string) == 0
        else { throw ContainerfileBuildError.system("lock", hidden) }
    }

    /// Takes away what builds that were killed have left.
    func removeLeftovers() async throws {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: Self.locks(parts).string)) ?? [] where name != id && !name.hasPrefix(".") {
            guard let other = try? FileDescriptor.open(Self.locks(parts).appending(name), .readWrite, options: [.closeOnExec])
            else { continue }
            defer {
                flock(other.rawValue, LOCK_UN)
                try? other.close()
            }
            guard flock(other.rawValue, LOCK_EX | LOCK_NB) == 0 else { continue }
            try await remove(name)
        }
    }

    /// Takes away everything of this build but what it built, also when it was cancelled.
    func close() async throws {
        // A task of its own, awaited at once: this one may be cancelled, and what it made must go all the same.
        let result: Result<Void, any Error> = await Task {
            do { return .success(try await remove(id)) } catch { return .failure(error) }
        }.value
        // Closing alone would leave it to a program that is just being started, which has a copy until its exec.
        flock(lock.rawValue, LOCK_UN)
        try lock.close()
        try result.get()
    }

    private func remove(_ id: String) async throws {
        for container in try await parts.runtime.list() where container.id.hasPrefix("\(id)-") {
            try await parts.runtime.remove(container.id)
        }
        try await parts.waiting.run { [parts] _ in
            try ExtractedFolder.remove(Self.temporary(parts).appending(id))
            unlink(Self.locks(parts).appending(id).string)
        }
    }
}
