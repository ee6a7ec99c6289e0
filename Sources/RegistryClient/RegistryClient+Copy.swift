public import OCIModel

/// What a copy did.
public struct CopyResult: Sendable, Hashable {
    /// What was copied: the image, or the index with all its images.
    public var image: PushResult
    /// Signatures and the like that were copied with it.
    public var referrers = 0
}

extension RegistryClient {
    /// Copies an image, or an index with everything it lists, from another registry (or another repository of this one).
    ///
    /// Blobs flow from one registry to the other without touching the disk and are verified on the way; within one registry
    /// they are mounted. What is there already is not sent.
    ///
    /// - Parameters:
    ///   - tag: nil copies by digest only.
    ///   - platform: of an index take only this image. Nil takes everything.
    ///   - referrers: whether what refers to the image (signatures, bills of materials) is copied too.
    ///   - progress: called per piece, from several tasks at once.
    public func copy(
        _ reference: ManifestReference, of sourceRepository: RepositoryName, from other: RegistryClient, to repository: RepositoryName,
        tag: Tag?, platform: Platform? = nil, referrers: Bool = false, progress: (@Sendable (RegistryProgress) -> Void)? = nil
    ) async throws -> CopyResult {
        let source = RemoteSource(client: other, repository: sourceRepository)
        let image = try await source.find(reference, platform: platform)
        let isSameRegistry = other.transport.origin == transport.origin
        let mount = isSameRegistry && sourceRepository != repository ? sourceRepository : nil
        var copied = CopyResult(
            image: try await push(image, from: source, to: repository, tag: tag, mountFrom: mount, task: "copying to", progress: progress))
        guard referrers else { return copied }
        var seen: Set<Digest> = [image]
        var subjects = try await source.everything(in: image)
        // Signatures of signatures, too; each once.
        while let subject = subjects.popLast() {
            for referrer in try await other.referrers(of: subject, in: sourceRepository) where seen.insert(referrer.digest).inserted {
                guard seen.count < 10_000 else {
                    throw RegistryError(.unsupported, "copying to \(host)/\(repository): too much refers to \(image)", hint: "copy without referrers")
                }
                _ = try await push(
                    referrer.digest, from: source, to: repository, tag: nil, mountFrom: mount, task: "copying to", progress: progress)
                copied.referrers += 1
                subjects.append(referrer.digest)
            }
        }
        return copied
    }
}

extension RemoteSource {
    /// The digest of the image or index to copy.
    func find(_ reference: ManifestReference, platform: Platform?) async throws -> Digest {
        let task = "copying from \(client.host)/\(repository)\(reference)"
        let content = try await client.fetchManifest(repository, reference, scope: scope, task: task)
        guard let platform, case .index(let index) = content.kind else { return content.digest }
        return try index.image(for: platform, task: task).digest
    }

    /// The image itself and, of an index, everything it lists.
    func everything(in image: Digest) async throws -> [Digest] {
        let content = try ManifestContent(try await manifest(image, task: "copying from \(client.host)/\(repository)"), mediaType: nil)
        guard case .index(let index) = content.kind else { return [image] }
        return [image] + index.manifests.map(\.digest)
    }
}

extension Index {
    /// The entry for a platform: of the same variant, else any.
    func image(for platform: Platform, task: String) throws -> Descriptor {
        let fitting = manifests.filter { $0.platform?.os == platform.os && $0.platform?.architecture == platform.architecture }
        guard let chosen = fitting.first(where: { $0.platform?.variant == platform.variant }) ?? fitting.first else {
            let offered = manifests.compactMap(\.platform?.description).joined(separator: ", ")
            throw RegistryError(
                .notFound, "\(task): no image for \(platform)", hint: "the registry offers: \(offered.prefix(500))")
        }
        return chosen
    }
}
