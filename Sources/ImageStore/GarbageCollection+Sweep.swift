import BlockingQueue
import Glibc
import OCIModel
import SystemPackage
import TarArchive

extension GarbageCollection {
    /// Removes the blobs that nothing refers to.
    mutating func sweepBlobs() throws {
        for algorithm in DigestAlgorithm.allCases {
            let folder = store.blobs(algorithm)
            var sizes: [Digest: Int64] = [:]
            for digest in try (Files.names(in: folder) ?? []).compactMap({ Digest(hex: $0) }) {
                guard let size = try store.size(of: digest) else { continue }
                report.blobsKept += 1
                report.bytesKept += size
                if !live.contains(digest) { sizes[digest] = size }
            }
            var doomed: [FilePath] = []
            let gone = try removing(sizes.keys.sorted(), at: { store.path(of: $0) }) { _, path in
                // Out of sight in one step; freeing the space of a large file takes longer than the lock may be held.
                let aside = store.temporaryPath()
                try Files.rename(path, aside)
                doomed.append(aside)
                return true
            }
            if !doomed.isEmpty { try Files.syncFolder(folder) }
            for file in doomed { try Files.unlink(file) }
            for digest in gone {
                let size = sizes[digest] ?? 0
                report.blobsKept -= 1
                report.bytesKept -= size
                report.blobsRemoved += 1
                report.bytesFreed += size
                report.note("blob \(digest) \(size) bytes")
            }
        }
    }

    /// Takes blobs out of the repositories that no longer refer to them, and forgets the subjects of manifests that went.
    mutating func sweepRepositories() throws {
        for repository in try store.repositoryFolders() {
            let members = store.folder(repository, "_blobs")
            let live = liveIn[repository] ?? []
            let unused = try (Files.names(in: members) ?? []).filter { name in
                Digest(hex: name).map { !live.contains($0) } ?? true
            }
            _ = try removing(unused, at: { members.appending($0) }) { try Files.unlink($1) }
            let subjects = store.folder(repository, "_referrers")
            let manifests = store.folder(repository, "_manifests")
            for subject in try Files.names(in: subjects) ?? [] {
                let folder = subjects.appending(subject)
                let dangling = try (Files.names(in: folder) ?? []).filter { try Files.modified(manifests.appending($0)) == nil }
                _ = try removing(dangling, at: { folder.appending($0) }) { name, path in
                    try Files.modified(manifests.appending(name)) == nil ? Files.unlink(path) : false
                }
            }
        }
    }

    /// Removes old entries of the build cache, and what is known of layers no image has any more. Only caches: every
    /// file may go at any time.
    mutating func sweepCaches() throws {
        let caches = store.root.appending("layer-cache")
        for kind in try Files.names(in: caches) ?? [] {
            let folder = caches.appending(kind)
            for name in try Files.names(in: folder) ?? [] {
                try drop(folder.appending(name), olderThan: begun - policy.cacheExpiry.nanoseconds)
            }
        }
        let indexes = store.root.appending("indexes")
        for name in try Files.names(in: indexes) ?? [] {
            if let layer = Digest(hex: name), liveLayers.contains(layer) { continue }
            try drop(indexes.appending(name), olderThan: cutoff)
        }
    }

    private mutating func drop(_ file: FilePath, olderThan time: Int64) throws {
        if cancellation.isCancelled { throw CancellationError() }
        guard try isOlder(file, than: time), policy.dryRun || (try? Files.unlink(file)) == true else { return }
        report.cacheEntriesRemoved += 1
    }

    /// Removes unpacked layers that neither an image in the store nor a container uses.
    mutating func sweep(_ snapshots: Snapshots, usedBy containers: FilePath?) throws {
        let root = snapshots.root
        let unused = try (Files.names(in: root) ?? []).filter { name in
            // `<diffID>` or `<diffID>-<chainID>`.
            Digest(hex: String(name.prefix { $0 != "-" })).map { !liveLayers.contains($0) } ?? false
        }
        var doomed: [FilePath] = []
        let gone = try removing(unused, at: { root.appending($0) }) { name, path in
            guard try !Self.layers(of: containers).contains(name) else { return false }
            // Out of sight in one step; removing it takes longer than the lock may be held.
            let aside = root.appending("gone-\(Files.uniqueName())")
            try Files.rename(path, aside)
            doomed.append(aside)
            return true
        }
        report.snapshotsRemoved += gone.count
        for name in gone { report.note("snapshot \(name)") }
        if policy.dryRun { return }
        doomed += try (Files.names(in: root) ?? []).filter { $0.hasPrefix("gone-") }.map { root.appending($0) }
        for folder in Set(doomed) { try ExtractedFolder.remove(folder) }
    }

    /// The names of the snapshots that containers lie on: `<container>/l/<number>` links to them.
    private static func layers(of containers: FilePath?) throws -> Set<String> {
        guard let containers else { return [] }
        var used: Set<String> = []
        for container in try Files.names(in: containers) ?? [] {
            let links = containers.appending(container).appending("l")
            for link in try Files.names(in: links) ?? [] {
                if let name = try Files.target(links.appending(link))?.lastComponent { used.insert(name.string) }
            }
        }
        return used
    }
}
