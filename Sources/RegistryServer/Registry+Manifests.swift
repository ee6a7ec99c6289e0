import HTTPTypes
import Hummingbird
import ImageStore
import NIOCore
import OCIModel

/// Pulling, pushing and deleting manifests (distribution-spec, "Pulling manifests", "Pushing Manifests").
extension Registry {
    func getManifest(
        _ name: RepositoryName, _ reference: RegistryPath.Reference, _ request: Request
    ) async throws -> Response {
        guard let digest = try await digest(of: reference, in: name),
            let mediaType = try await store.manifestMediaType(digest, in: name)
        else { throw unknownManifest(name, reference) }
        let headers: HTTPFields = [
            .contentType: mediaType, .dockerContentDigest: digest.description, .eTag: "\"\(digest)\"",
        ]
        if request.headers[.ifNoneMatch] == "\"\(digest)\"" { return Response(status: .notModified, headers: headers) }
        let bytes = try await store.read(digest, limit: Self.manifestLimit)
        return Response(
            status: .ok, headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    func putManifest(
        _ name: RepositoryName, _ reference: RegistryPath.Reference, _ request: Request
    ) async throws -> Response {
        let bytes = try await manifestBody(request)
        let document = try ManifestDocument(bytes, contentType: request.headers[.contentType])
        let tags = try tags(reference, request)
        var expected: Digest?
        if case .digest(let digest) = reference { expected = digest }
        if let expected, Digest.of(bytes, by: expected.algorithm) != expected {
            throw RegistryFailure(.badRequest, .digestInvalid, "the manifest does not have the digest \(expected)")
        }
        let required = try await checkReferences(of: document, in: name)
        try await gate.checkQuota(adding: Int64(bytes.count), to: name, in: store)
        // Content, then membership, then the names: a tag never shows a manifest that is not whole.
        let digest = try await store.write(bytes, expecting: expected)
        try await store.admit(manifest: digest, mediaType: document.mediaType, in: name, requiring: required)
        for tag in tags { try await store.tag(tag, as: digest, in: name) }
        var headers: HTTPFields = [
            .location: "/v2/\(name)/manifests/\(digest)", .dockerContentDigest: digest.description,
        ]
        if expected != nil, !tags.isEmpty { headers[.ociTag] = tags.map(\.rawValue).joined(separator: ", ") }
        if let subject = document.subject { headers[.ociSubject] = subject.digest.description }
        return Response(status: .created, headers: headers)
    }

    /// The tags a push names: in the address, or as `tag` parameters of a push by digest.
    private func tags(_ reference: RegistryPath.Reference, _ request: Request) throws -> [Tag] {
        switch reference {
        case .tag(let tag): return [tag]
        case .digest:
            let names = request.uri.queryParameters[values: "tag"]
            guard names.count <= Self.tagLimit else {
                throw RegistryFailure(.uriTooLong, .unsupported, "a push may set \(Self.tagLimit) tags at most")
            }
            return try names.map { try Tag(parsing: String($0)) }
        }
    }

    func deleteManifest(_ name: RepositoryName, _ reference: RegistryPath.Reference) async throws -> Response {
        guard let digest = try await digest(of: reference, in: name),
            try await store.manifestMediaType(digest, in: name) != nil
        else { throw unknownManifest(name, reference) }
        switch reference {
        case .tag(let tag): _ = try await store.deleteTag(tag, in: name)
        case .digest: _ = try await store.deleteManifest(digest, in: name)
        }
        return Response(status: .accepted, headers: [.contentLength: "0"])
    }

    private func digest(of reference: RegistryPath.Reference, in name: RepositoryName) async throws -> Digest? {
        switch reference {
        case .digest(let digest): digest
        case .tag(let tag): try await store.resolve(tag, in: name)
        }
    }

    private func unknownManifest(_ name: RepositoryName, _ reference: RegistryPath.Reference) -> RegistryFailure {
        let text =
            switch reference {
            case .tag(let tag): ":\(tag)"
            case .digest(let digest): "@\(digest)"
            }
        return RegistryFailure(.notFound, .manifestUnknown, "no manifest \(name)\(text)")
    }

    private func manifestBody(_ request: Request) async throws -> [UInt8] {
        let tooLarge = RegistryFailure(
            .contentTooLarge, .manifestInvalid, "a manifest may have \(Self.manifestLimit) bytes at most")
        if let text = request.headers[.contentLength], let length = Int(text), length > Self.manifestLimit {
            throw tooLarge
        }
        var bytes: [UInt8] = []
        for try await buffer in request.body {
            guard bytes.count + buffer.readableBytes <= Self.manifestLimit else { throw tooLarge }
            bytes.append(contentsOf: buffer.readableBytesView)
        }
        return bytes
    }

    /// Refuses a manifest that names content this repository does not hold, and returns what it names. A subject may
    /// come later, and with sparse manifests allowed everything else too.
    private func checkReferences(of document: ManifestDocument, in name: RepositoryName) async throws -> Set<Digest> {
        var required: Set<Digest> = []
        for descriptor in document.children {
            if MediaType.isIndex(descriptor.mediaType) || MediaType.isManifest(descriptor.mediaType) {
                if try await store.manifestMediaType(descriptor.digest, in: name) == nil {
                    guard gate.limits.allowsSparse else { throw missing(descriptor, name) }
                    continue
                }
            } else {
                guard try await checkBlob(descriptor, name) else { continue }
            }
            required.insert(descriptor.digest)
        }
        for descriptor in document.blobs where !descriptor.isForeign {
            if try await checkBlob(descriptor, name) { required.insert(descriptor.digest) }
        }
        return required
    }

    /// False for a blob that is not here and need not be.
    private func checkBlob(_ descriptor: Descriptor, _ name: RepositoryName) async throws -> Bool {
        guard let size = try await store.holds(descriptor.digest, in: name) else {
            guard gate.limits.allowsSparse else { throw missing(descriptor, name) }
            return false
        }
        guard size == descriptor.size else {
            throw RegistryFailure(
                .badRequest, .sizeInvalid, "blob \(descriptor.digest) has \(size) bytes, the manifest says \(descriptor.size)")
        }
        return true
    }

    private func missing(_ descriptor: Descriptor, _ name: RepositoryName) -> RegistryFailure {
        RegistryFailure(
            .notFound, .manifestBlobUnknown, "push \(descriptor.digest) (\(descriptor.mediaType)) to \(name) first")
    }
}

extension Descriptor {
    /// Layers that are fetched from elsewhere (image-spec, layer.md, "Non-Distributable Layers").
    fileprivate var isForeign: Bool {
        mediaType.contains(".nondistributable.") || mediaType.contains(".foreign.") || urls?.isEmpty == false
    }
}
