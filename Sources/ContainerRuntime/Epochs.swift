import Glibc
import SystemPackage

/// The epochs that may act: a folder for each owner with an empty file named by the greatest one.
///
/// Names only ever come to a folder while its owner lives, so the greatest cannot be lost, whoever is frozen where. Whoever
/// acts shares a lock on the folder; a new holder waits, behind its name, until nobody does any more. As the containers, all of
/// it is gone after a restart of the machine.
struct Epochs {
    let folder: FilePath

    private func path(_ owner: String) -> FilePath { folder.appending(owner) }

    /// Lets the holder act until the returned descriptor is closed: no new holder comes in meanwhile.
    func enter(_ fence: Fence, _ patience: Patience) throws -> FileDescriptor {
        guard ContainerSpec.isValid(id: fence.owner), let file = try open(fence.owner) else { throw ContainerError.over(fence) }
        do {
            try Files.lock(file, LOCK_SH, path(fence.owner), patience)
            guard let greatest = try epochs(in: file).max() else { throw ContainerError.over(fence) }
            guard greatest <= fence.epoch else { throw ContainerError.fenced(fence, by: greatest) }
            if greatest == fence.epoch { return file }
        } catch {
            try? file.close()
            throw error
        }
        try file.close()
        try raise(fence, patience)
        return try enter(fence, patience)
    }

    /// Admits `fence` and none before it. Returns when nobody before it acts any more.
    func raise(_ fence: Fence, _ patience: Patience) throws {
        guard ContainerSpec.isValid(id: fence.owner) else { throw ContainerError(.invalidSpec, "'\(fence.owner)' cannot own containers") }
        let path = path(fence.owner)
        while true {
            try Files.makeFolder(path)
            guard let file = try open(fence.owner) else { continue }
            defer { try? file.close() }
            if let greatest = try epochs(in: file).max(), greatest > fence.epoch { throw ContainerError.fenced(fence, by: greatest) }
            let name = openat(file.rawValue, "\(fence.epoch)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            guard name >= 0 else {
                // Its owner was over just now.
                if errno == ENOENT { continue }
                throw ContainerError.file("write to", path, Errno(rawValue: errno))
            }
            close(name)
            try Files.lock(file, LOCK_EX, path, patience)
            let all = try epochs(in: file)
            guard let greatest = all.max() else { continue }
            guard greatest == fence.epoch else { throw ContainerError.fenced(fence, by: greatest) }
            for epoch in all where epoch < greatest { unlinkat(file.rawValue, "\(epoch)", 0) }
            return
        }
    }

    /// Nobody may act for the owner any more. Returns when nobody does. An unknown owner is fine.
    func forget(_ owner: String, _ patience: Patience) throws {
        guard ContainerSpec.isValid(id: owner), let file = try open(owner) else { return }
        defer { try? file.close() }
        for epoch in try epochs(in: file) { unlinkat(file.rawValue, "\(epoch)", 0) }
        try Files.lock(file, LOCK_EX, path(owner), patience)
        // Somebody else may have done it, or has begun anew.
        guard rmdir(path(owner).string) == 0 || errno == ENOENT || errno == ENOTEMPTY else {
            throw ContainerError.file("remove", path(owner), Errno(rawValue: errno))
        }
    }

    private func open(_ owner: String) throws(ContainerError) -> FileDescriptor? {
        do {
            return try FileDescriptor.open(path(owner), .readOnly, options: [.directory, .closeOnExec])
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch {
            throw ContainerError.file("open", path(owner), error)
        }
    }

    private func epochs(in file: FileDescriptor) throws(ContainerError) -> [Int64] {
        try Files.names(in: file, folder).compactMap { Int64($0) }
    }
}

extension ContainerError {
    static func fenced(_ fence: Fence, by epoch: Int64) -> ContainerError {
        ContainerError(
            .fenced, "\(fence.owner) was taken over: epoch \(epoch) is in force, this is \(fence.epoch)",
            hint: "nothing to do: whoever has taken it over goes on with it")
    }

    static func over(_ fence: Fence) -> ContainerError {
        ContainerError(
            .fenced, "\(fence.owner) is over: nobody may act for it, nor may epoch \(fence.epoch)", hint: "nothing to do: its end is known")
    }
}
