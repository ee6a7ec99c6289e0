import BlockingQueue
import Glibc
public import OCIModel
import SystemPackage

/// What a repository holds: a blob is in the store once, and may be read through every repository it belongs to.
extension ImageStore {
    /// Makes a stored manifest part of a repository, and with it all it refers to that is here. For callers of this
    /// process, who may use any blob; see `admit(manifest:mediaType:in:requiring:)` for clients.
    public func record(manifest: Digest, mediaType: String, in repository: RepositoryName) async throws {
        try await queue.run { _ in try recordNow(manifest, mediaType: mediaType, in: repository) }
    }

    func recordNow(_ manifest: Digest, mediaType: String, in repository: RepositoryName) throws {
        let links = ManifestLinks(try readNow(manifest))
        try sharing {
            guard try renewNow(manifest) != nil else { throw absent(manifest) }
            let manifests = folder(repository, "_manifests")
            let plain = try links.children.filter { try !Files.touch(manifests.appending($0.hex)) }
            for blob in links.blobs + plain where try renewNow(blob) != nil { try addNow(blob, to: repository) }
            try enter(manifest, links, mediaType, repository)
        }
    }

    /// Makes a stored manifest part of a repository for a client that pushed it. `required` are blobs and manifests that
    /// must belong to the repository already, else `.incomplete` is thrown and nothing changes.
    public func admit(
        manifest: Digest, mediaType: String, in repository: RepositoryName, requiring required: Set<Digest>
    ) async throws {
        try await queue.run { _ in
            let links = ManifestLinks(try readNow(manifest))
            try sharing {
                guard try renewNow(manifest) != nil else { throw absent(manifest) }
                for blob in links.blobs {
                    let held = try holdsNow(blob, repository) != nil
                    if !held, required.contains(blob) { throw incomplete(blob, repository) }
                }
                for child in links.children where required.contains(child) {
                    // Some indexes list plain blobs.
                    let entry = folder(repository, "_manifests").appending(child.hex)
                    let held = try Files.touch(entry) ? renewNow(child) != nil : holdsNow(child, repository) != nil
                    guard held else { throw incomplete(child, repository) }
                }
                try enter(manifest, links, mediaType, repository)
            }
        }
    }

    /// Under the shared lock. Blobs first: a manifest that is visible is whole, also after a crash.
    private func enter(
        _ manifest: Digest, _ links: ManifestLinks, _ mediaType: String, _ repository: RepositoryName
    ) throws {
        let manifests = folder(repository, "_manifests")
        for related in links.children + [links.subject].compactMap({ $0 }) {
            _ = try renewNow(related)
            _ = try Files.touch(manifests.appending(related.hex))
        }
        if let subject = links.subject { try mark(referrers(of: subject, in: repository), manifest.hex) }
        let isNew = try text(manifests.appending(manifest.hex)) != mediaType
        if isNew, !links.blobs.isEmpty, try Files.modified(folder(repository, "_blobs")) != nil {
            try Files.syncFolder(folder(repository, "_blobs"))
        }
        try point(manifests, manifest.hex, to: mediaType)
        _ = try Files.touch(manifests.appending(manifest.hex))
    }

    /// The size in bytes of a blob that belongs to the repository, renewed; nil when it does not.
    public func holds(_ blob: Digest, in repository: RepositoryName) async throws -> Int64? {
        try await queue.run { _ in try sharing { try holdsNow(blob, repository) } }
    }

    /// Under the shared lock.
    func holdsNow(_ blob: Digest, _ repository: RepositoryName) throws -> Int64? {
        let members = folder(repository, "_blobs")
        if try !Files.touch(members.appending(blob.hex)) {
            guard try Files.modified(members) == nil else { return nil }
            try adopt(repository)
            guard try Files.touch(members.appending(blob.hex)) else { return nil }
        }
        return try renewNow(blob)
    }

    /// Lets a blob of the store be read through a repository. `.notFound` when it is not in the store.
    public func add(_ blob: Digest, to repository: RepositoryName) async throws {
        try await queue.run { _ in
            try sharing {
                guard try renewNow(blob) != nil else { throw absent(blob) }
                try addNow(blob, to: repository)
            }
        }
    }

    /// Not synced to disk: a client whose blob is gone after a crash of the machine is told when it pushes the manifest.
    private func addNow(_ blob: Digest, to repository: RepositoryName) throws {
        let members = folder(repository, "_blobs")
        if try Files.modified(members) == nil { try adopt(repository) }
        if try !Files.touch(members.appending(blob.hex)) { try mark(members, blob.hex) }
    }

    /// Takes a blob out of a repository; it goes from the disk with the next garbage collection when no other has it.
    /// False when it was not there.
    public func remove(_ blob: Digest, from repository: RepositoryName) async throws -> Bool {
        try await queue.run { _ in
            try sharing {
                guard try holdsNow(blob, repository) != nil else { return false }
                let members = folder(repository, "_blobs")
                let removed = try Files.unlink(members.appending(blob.hex))
                try Files.syncFolder(members)
                return removed
            }
        }
    }

    /// The repositories a blob belongs to.
    public func repositories(holding blob: Digest) async throws -> [RepositoryName] {
        try await queue.run { _ in
            try repositoryFolders().filter { try Files.modified(folder($0, "_blobs").appending(blob.hex)) != nil }
        }
    }

    /// The manifests of the repository that refer to a blob.
    public func manifests(using blob: Digest, in repository: RepositoryName) async throws -> [Digest] {
        try await queue.run { _ in
            try (Files.names(in: folder(repository, "_manifests")) ?? []).compactMap { Digest(hex: $0) }
                .filter { try ManifestLinks(readNow($0)).blobs.contains(blob) }
        }
    }

    /// The manifests of the repository whose subject is `subject`, sorted by digest, with their media types.
    public func referrers(
        of subject: Digest, in repository: RepositoryName
    ) async throws -> [(digest: Digest, mediaType: String)] {
        let digests = try await queue.run { _ in
            if try Files.modified(folder(repository, "_blobs")) == nil { try sharing { try adopt(repository) } }
            return try (Files.names(in: referrers(of: subject, in: repository)) ?? []).compactMap { Digest(hex: $0) }.sorted()
        }
        var found: [(digest: Digest, mediaType: String)] = []
        for digest in digests {
            if let type = try await manifestMediaType(digest, in: repository) { found.append((digest, type)) }
        }
        return found
    }

    /// Bytes of all blobs and manifests of a repository, each counted once.
    public func usage(of repository: RepositoryName) async throws -> Int64 {
        try await queue.run { _ in
            var names = Set(try Files.names(in: folder(repository, "_blobs")) ?? [])
            names.formUnion(try Files.names(in: folder(repository, "_manifests")) ?? [])
            return try names.compactMap { Digest(hex: $0) }.reduce(0) { try $0 + (size(of: $1) ?? 0) }
        }
    }

    func referrers(of subject: Digest, in repository: RepositoryName) -> FilePath {
        folder(repository, "_referrers").appending(subject.hex)
    }

    /// Fills `_blobs` and `_referrers` of a repository that was written before there were any. Under the shared lock.
    private func adopt(_ repository: RepositoryName) throws {
        let members = folder(repository, "_blobs")
        for name in try Files.names(in: folder(repository, "_manifests")) ?? [] {
            guard let manifest = Digest(hex: name), try size(of: manifest) != nil else { continue }
            let links = ManifestLinks(try readNow(manifest))
            for blob in links.blobs where try size(of: blob) != nil { try mark(members, blob.hex) }
            if let subject = links.subject { try mark(referrers(of: subject, in: repository), name) }
        }
        try Files.createFolder(members)
    }

    /// An empty file, made unless it is there.
    private func mark(_ folder: FilePath, _ name: String) throws {
        try Files.createFolder(folder)
        _ = try Files.open(folder.appending(name), O_WRONLY | O_CREAT)
        _ = try Files.touch(folder.appending(name))
    }

    private func incomplete(_ digest: Digest, _ repository: RepositoryName) -> ImageStoreError {
        ImageStoreError(
            code: .incomplete, message: "\(repository) does not hold \(digest)", hint: "push it before the manifest that names it")
    }
}
