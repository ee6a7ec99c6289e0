import HTTPTypes
import Hummingbird
import ImageStore
import NIOCore
import OCIModel

/// Pulling, pushing and deleting manifests (distribution-spec, "Pulling manifests", "Pushing Manifests").
extension Registry {
    func getManifest(_ name: RepositoryName, _ reference: RegistryPath.Reference) async throws -> Response {
        guard let digest = try await digest(of: reference, in: name),
            let mediaType = try await store.manifestMediaType(digest, in: name)
        else { throw unknownManifest(name, reference) }
        let bytes = try await store.read(digest, limit: Self.manifestLimit)
        return Response(
            status: .ok,
            headers: [
                .contentType: mediaType, .dockerContentDigest: digest.description, .eTag: "\"\(digest)\"",
            ],
            body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    func putManifest(
        _ name: RepositoryName, _ reference: RegistryPath.Reference, _ request: Request
    ) async throws -> Response {
        let bytes = try await manifestBody(request)
        let document = try ManifestDocument(bytes, contentType: request.headers[.contentType])
        if case .digest(let expected) = reference, Digest.sha256(bytes) != expected {
            throw RegistryFailure(
                .badRequest, .digestInvalid, "the manifest has digest \(Digest.sha256(bytes)), not \(expected)")
        }
        try await checkReferences(of: document, in: name)
        // Content, then membership, then the name: a tag never shows a manifest that is not whole.
        let digest = try await store.write(bytes, expecting: nil)
        try await store.record(manifest: digest, mediaType: document.mediaType, in: name)
        if case .tag(let tag) = reference { try await store.tag(tag, as: digest, in: name) }
        var headers: HTTPFields = [
            .location: "/v2/\(name)/manifests/\(digest)", .dockerContentDigest: digest.description,
        ]
        if let subject = document.subject { headers[.ociSubject] = subject.digest.description }
        return Response(status: .created, headers: headers)
    }

    func deleteManifest(_ name: RepositoryName, _ reference: RegistryPath.Reference) async throws -> Response {
        guard let digest = try await digest(of: reference, in: name),
            try await store.manifestMediaType(digest, in: name) != nil
        else { throw unknownManifest(name, reference) }
        switch reference {
        case .tag(let tag): _ = try await store.deleteTag(tag, in: name)
        case .digest: _ = try await store.deleteManifest(digest, in: name)
        }
        return Response(status: .accepted)
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

    /// Refuses a manifest that names content this registry does not hold. A subject may come later.
    private func checkReferences(of document: ManifestDocument, in name: RepositoryName) async throws {
        for descriptor in document.children {
            if MediaType.isIndex(descriptor.mediaType) || MediaType.isManifest(descriptor.mediaType) {
                guard try await store.manifestMediaType(descriptor.digest, in: name) != nil else {
                    throw missing(descriptor, name)
                }
            } else {
                try checkBlob(descriptor, name)
            }
        }
        for descriptor in document.blobs where !descriptor.isForeign { try checkBlob(descriptor, name) }
    }

    private func checkBlob(_ descriptor: Descriptor, _ name: RepositoryName) throws {
        guard let size = try store.size(of: descriptor.digest) else { throw missing(descriptor, name) }
        guard size == descriptor.size else {
            throw RegistryFailure(
                .badRequest, .sizeInvalid, "blob \(descriptor.digest) has \(size) bytes, the manifest says \(descriptor.size)")
        }
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
