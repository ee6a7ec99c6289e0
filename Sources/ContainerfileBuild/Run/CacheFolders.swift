import BlockingQueue
import Containerfile
import FoundationEssentials
import Glibc
import OCIModel
import SystemPackage

/// The folders of `RUN --mount=type=cache`, kept from build to build: `<root>/<sha256 of the id>/<slot>`, each with a
/// lock file beside it that a build holds while it uses the folder.
struct CacheFolders: Sendable {
    let root: FilePath

    /// Lends a folder. Blocking until it is free when it is `locked`; the lock goes with the descriptor.
    /// - Parameter fill: writes the first content of a new folder.
    func open(
        _ mount: CacheMount, cancellation: Cancellation, fill: (FilePath) throws -> Void
    ) throws -> (folder: FilePath, lock: FileDescriptor) {
        let place = root.appending(Digest.sha256(Array(mount.id.utf8)).hex)
        do {
            try FileManager.default.createDirectory(
                atPath: place.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw ContainerfileBuildError(.failed, "cannot make \(place): \(error)", hint: "check the data directory") }
        for slot in 0..<10_000 {
            let lock = try openLock(place.appending("\(slot).lock"))
            switch mount.sharing {
            case .shared: try wait(lock, LOCK_SH, cancellation)
            case .locked: try wait(lock, LOCK_EX, cancellation)
            case .private:
                guard flock(lock.rawValue, LOCK_EX | LOCK_NB) == 0 else {
                    try lock.close()
                    continue
                }
            }
            let folder = place.appending("\(slot)")
            do {
                if access(folder.string, F_OK) != 0 { try make(folder, mount, fill) }
            } catch {
                try? lock.close()
                throw error
            }
            return (folder, lock)
        }
        throw ContainerfileBuildError(.failed, "10000 builds use the cache '\(mount.id)' at this moment")
    }

    private func openLock(_ path: FilePath) throws -> FileDescriptor {
        do {
            return try FileDescriptor.open(path, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
        } catch { throw ContainerfileBuildError(.failed, "cannot open \(path): \(error)") }
    }

    private func wait(_ lock: FileDescriptor, _ kind: Int32, _ cancellation: Cancellation) throws {
        while flock(lock.rawValue, kind | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw ContainerfileBuildError.system("lock", root) }
            if cancellation.isCancelled { throw CancellationError() }
            usleep(20_000)
        }
    }

    /// Appears by rename, complete; of two shared users who make it at once, the second takes the first's.
    private func make(_ folder: FilePath, _ mount: CacheMount, _ fill: (FilePath) throws -> Void) throws {
        let temporary = FilePath("\(folder).\(UInt64.random(in: 0 ... .max))")
        guard mkdir(temporary.string, 0o755) == 0 else { throw ContainerfileBuildError.system("make", temporary) }
        do {
            try fill(temporary)
            guard chown(temporary.string, mount.uid, mount.gid) == 0, chmod(temporary.string, mode_t(mount.mode & 0o7777)) == 0
            else { throw ContainerfileBuildError.system("set the owner of", temporary) }
            if rename(temporary.string, folder.string) == 0 { return }
            guard errno == ENOTEMPTY || errno == EEXIST else { throw ContainerfileBuildError.system("rename", temporary) }
            try FileManager.default.removeItem(atPath: temporary.string)
        } catch {
            try? FileManager.default.removeItem(atPath: temporary.string)
            throw error
        }
    }
}
