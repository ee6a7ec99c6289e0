import BlockingQueue
import Glibc
public import OCIModel
import SystemPackage

extension ImageStore {
    /// The manifest's media type; nil when it is not in that repository.
    public func manifestMediaType(_ manifest: Digest, in repository: RepositoryName) async throws -> String? {
        try await queue.run { _ in try mediaTypeNow(manifest, in: repository) }
    }

    func mediaTypeNow(_ manifest: Digest, in repository: RepositoryName) throws -> String? {
        try text(folder(repository, "_manifests").appending(manifest.hex))
    }

    /// Lets a tag name a manifest of the repository, replacing what it named before in one step.
    public func tag(_ tag: Tag, as manifest: Digest, in repository: RepositoryName) async throws {
        try await queue.run { _ in try tagNow(tag, as: manifest, in: repository) }
    }

    func tagNow(_ tag: Tag, as manifest: Digest, in repository: RepositoryName) throws {
        try sharing {
            guard try Files.touch(folder(repository, "_manifests").appending(manifest.hex)) else {
                throw ImageStoreError(
                    code: .notFound, message: "\(repository.rawValue) has no manifest \(manifest)",
                    hint: "record the manifest before tagging it")
            }
            let tags = folder(repository, "_tags")
            try point(tags, tag.rawValue, to: manifest.description)
            _ = try Files.touch(tags.appending(tag.rawValue))
        }
    }

    /// The manifest a tag names; nil when there is no such tag.
    public func resolve(_ tag: Tag, in repository: RepositoryName) async throws -> Digest? {
        try await queue.run { _ in try resolveNow(tag, in: repository) }
    }

    func resolveNow(_ tag: Tag, in repository: RepositoryName) throws -> Digest? {
        guard let text = try text(folder(repository, "_tags").appending(tag.rawValue)) else { return nil }
        return try Digest(parsing: text)
    }

    /// Finds a manifest by the reference's digest, else its tag, else `latest`. The registry part is ignored.
    public func resolve(_ reference: ImageReference) async throws -> (digest: Digest, mediaType: String)? {
        let found: Named? = try await queue.run { _ in
            let digest = try reference.digest ?? resolveNow(reference.tag ?? Tag(parsing: "latest"), in: reference.repository)
            guard let digest, let type = try mediaTypeNow(digest, in: reference.repository) else { return nil }
            return Named(digest: digest, mediaType: type)
        }
        return found.map { ($0.digest, $0.mediaType) }
    }

    /// The repository's tags, sorted by bytes.
    public func tags(in repository: RepositoryName) async throws -> [Tag] {
        try await queue.run { _ in
            try (Files.names(in: folder(repository, "_tags")) ?? []).compactMap { try? Tag(parsing: $0) }
        }
    }

    /// The repository's manifests with their media types, sorted by digest.
    public func manifests(in repository: RepositoryName) async throws -> [(digest: Digest, mediaType: String)] {
        let found: [Named] = try await queue.run { _ in
            let folder = folder(repository, "_manifests")
            return try (Files.names(in: folder) ?? []).compactMap { name in
                guard let digest = Digest(hex: name), let type = try text(folder.appending(name)) else {
                    return nil
                }
                return Named(digest: digest, mediaType: type)
            }
        }
        return found.map { ($0.digest, $0.mediaType) }
    }

    /// Every repository with at least one manifest, sorted.
    public func repositories() async throws -> [RepositoryName] {
        try await queue.run { _ in
            try repositoryFolders().filter { repository in
                try Files.names(in: folder(repository, "_manifests"))?.isEmpty == false
            }
        }
    }

    /// Every repository that ever held anything, sorted.
    func repositoryFolders() throws -> [RepositoryName] {
        var found: [String] = []
        try collect(references, prefix: "", into: &found)
        return found.sorted().compactMap { try? RepositoryName(parsing: $0) }
    }

    /// Removes a tag. False when there was none.
    @discardableResult
    public func deleteTag(_ tag: Tag, in repository: RepositoryName) async throws -> Bool {
        try await queue.run { _ in
            let folder = folder(repository, "_tags")
            guard try Files.unlink(folder.appending(tag.rawValue)) else { return false }
            try Files.syncFolder(folder)
            return true
        }
    }

    /// Takes a manifest, and every tag that names it, out of a repository. False when it was not there. The
    /// blob stays until a garbage collection.
    @discardableResult
    public func deleteManifest(_ manifest: Digest, in repository: RepositoryName) async throws -> Bool {
        try await queue.run { _ in
            guard try mediaTypeNow(manifest, in: repository) != nil else { return false }
            let tags = folder(repository, "_tags")
            for name in try Files.names(in: tags) ?? [] where try text(tags.appending(name)) == manifest.description {
                try Files.unlink(tags.appending(name))
            }
            if try Files.names(in: tags) != nil { try Files.syncFolder(tags) }
            let manifests = folder(repository, "_manifests")
            if let bytes = try? readNow(manifest), let subject = ManifestLinks(bytes).subject {
                try Files.unlink(referrers(of: subject, in: repository).appending(manifest.hex))
            }
            let removed = try Files.unlink(manifests.appending(manifest.hex))
            try Files.syncFolder(manifests)
            return removed
        }
    }

    private struct Named: Sendable {
        let digest: Digest
        let mediaType: String
    }

    func folder(_ repository: RepositoryName, _ kind: String) -> FilePath {
        // A repository name is validated: lowercase components, never empty, never `..`.
        references.pushing(FilePath(repository.rawValue)).appending(kind)
    }

    func text(_ path: FilePath) throws -> String? {
        do {
            return String(decoding: try Files.read(path, limit: 4096), as: UTF8.self)
        } catch let error as ImageStoreError where error.code == .notFound {
            return nil
        }
    }

    func point(_ folder: FilePath, _ name: String, to text: String) throws {
        let path = folder.appending(name)
        if try self.text(path) == text { return }
        try Files.createFolder(folder)
        try Files.replace(path, with: Array(text.utf8), temporary: temporaryPath())
    }

    private func collect(_ path: FilePath, prefix: String, into found: inout [String]) throws {
        let names = try Files.names(in: path) ?? []
        if names.contains(where: { $0.hasPrefix("_") }) { found.append(prefix) }
        for name in names where !name.hasPrefix("_") {
            try collect(path.appending(name), prefix: prefix.isEmpty ? name : "\(prefix)/\(name)", into: &found)
        }
    }
}
