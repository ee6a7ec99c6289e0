import HTTPTypes
import Hummingbird
import ImageStore
import OCIModel
import SystemPackage

/// Pulling blobs (distribution-spec, "Pulling blobs"), with `Range` for one range (RFC 9110, section 14).
extension Registry {
    func getBlob(
        _ name: RepositoryName, _ digest: Digest, _ request: Request, _ context: some RequestContext
    ) async throws -> Response {
        guard let length = try await store.holds(digest, in: name) else { throw unknownBlob(digest, name) }
        var headers: HTTPFields = [
            .contentType: "application/octet-stream", .dockerContentDigest: digest.description,
            .eTag: "\"\(digest)\"", .acceptRanges: "bytes",
        ]
        if request.headers[.ifNoneMatch] == "\"\(digest)\"" { return Response(status: .notModified, headers: headers) }
        let size = Int(clamping: length)
        let whole = request.method == .get && request.headers[.range] != nil && request.headers[.ifRange] == nil
        switch whole ? ByteRange.parse(request.headers[.range] ?? "", size: size) : .whole {
        case .whole:
            let body: ResponseBody = size == 0 ? .init() : try await file(digest, 0...(size - 1), request, context)
            headers[.contentLength] = String(size)
            return Response(status: .ok, headers: headers, body: body)
        case .part(let range):
            headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound)/\(size)"
            headers[.contentLength] = String(range.count)
            return Response(
                status: .partialContent, headers: headers, body: try await file(digest, range, request, context))
        case .unsatisfiable:
            throw RegistryFailure(
                .rangeNotSatisfiable, .sizeInvalid, "blob \(digest) has \(size) bytes",
                headers: [.contentRange: "bytes */\(size)"])
        }
    }

    /// Takes a blob out of a repository. One that a manifest of the repository needs stays: its images would break.
    func deleteBlob(_ name: RepositoryName, _ digest: Digest) async throws -> Response {
        guard try await store.holds(digest, in: name) != nil else { throw unknownBlob(digest, name) }
        if let user = try await store.manifests(using: digest, in: name).first {
            throw RegistryFailure(
                .methodNotAllowed, .unsupported, "blob \(digest) belongs to manifest \(user); delete that first")
        }
        guard try await store.remove(digest, from: name) else { throw unknownBlob(digest, name) }
        return Response(status: .accepted, headers: [.contentLength: "0"])
    }

    private func unknownBlob(_ digest: Digest, _ name: RepositoryName) -> RegistryFailure {
        RegistryFailure(.notFound, .blobUnknown, "\(name) has no blob \(digest)")
    }

    private func file(
        _ digest: Digest, _ range: ClosedRange<Int>, _ request: Request, _ context: some RequestContext
    ) async throws -> ResponseBody {
        if request.method == .head { return .init() }
        return try await FileIO().loadFile(
            path: store.path(of: digest).string, range: range, context: context, chunkLength: 256 << 10)
    }
}

/// The `Range` header of a request for a resource of a known size.
enum ByteRange: Equatable {
    case whole
    case part(ClosedRange<Int>)
    case unsatisfiable

    /// Headers that are malformed or ask for several ranges are ignored, as RFC 9110 allows. A range that ends before it
    /// begins is refused, as the distribution-spec's conformance program expects.
    static func parse(_ header: String, size: Int) -> ByteRange {
        guard header.hasPrefix("bytes="), !header.contains(",") else { return .whole }
        let parts = header.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return .whole }
        if parts[0].isEmpty {
            guard let suffix = Int(parts[1]), suffix >= 0 else { return .whole }
            return suffix == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - suffix)...(size - 1))
        }
        guard let first = Int(parts[0]), first >= 0 else { return .whole }
        var last = size - 1
        if !parts[1].isEmpty {
            guard let given = Int(parts[1]), given >= 0 else { return .whole }
            last = min(last, given)
        }
        return first <= last ? .part(first...last) : .unsatisfiable
    }
}
