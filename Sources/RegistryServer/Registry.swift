import HTTPTypes
public import Hummingbird
public import ImageStore
import Logging
public import OCIModel

/// What a request wants to do with a repository. Deleting counts as pushing.
public enum RegistryAction: String, Sendable, Hashable {
    case pull, push
}

/// Decides on one request: the repository is nil for `/v2/` (where clients find out whether they must log in)
/// and for `/v2/_catalog` (whose entries are then asked for one by one).
///
/// `false` is answered with 401 and the registry's challenge. A thrown `HTTPError` is answered with its status, so an
/// authenticated user without the right may be told 403 by throwing `HTTPError(.forbidden)`.
public typealias RegistryAuthorization =
    @Sendable (_ request: Request, _ action: RegistryAction, _ repository: RepositoryName?) async throws -> Bool

/// Adds the OCI distribution API (distribution-spec 1.1) over an image store: `/v2/` and everything below.
///
/// Bodies are streamed in both directions with bounded memory. Uploads belong to the repository that opened
/// them and survive a broken connection; blobs are shared by all repositories of the store.
///
/// - Parameters:
///   - uploadKey: secret that binds upload addresses to their repository. With nil a random key is made, so that
///     uploads begun before a restart answer 404 afterwards and clients begin them again.
///   - limits: what clients may send, see ``RegistryLimits``.
///   - metrics: told about every request.
///   - challenge: the `WWW-Authenticate` of a 401.
///   - authorize: asked before every request, see ``RegistryAuthorization``.
public func addRegistryRoutes<Context: RequestContext>(
    to router: some RouterMethods<Context>, store: ImageStore, uploadKey: [UInt8]? = nil,
    limits: RegistryLimits = RegistryLimits(), metrics: RegistryMetrics = RegistryMetrics(),
    challenge: String = #"Basic realm="slipway""#, authorize: @escaping RegistryAuthorization
) {
    let registry = Registry(
        store: store, tickets: UploadTickets(key: uploadKey), gate: UploadGate(limits), metrics: metrics,
        challenge: challenge, authorize: authorize)
    for path in ["/v2", "/v2/**"] as [RouterPath] {
        for method in [.get, .head, .post, .put, .patch, .delete] as [HTTPRequest.Method] {
            router.on(path, method: method) { request, context -> Response in
                try await registry.respond(to: request, context: context)
            }
        }
    }
}

/// The registry's endpoints; each is in a file of its own.
struct Registry: Sendable {
    /// Manifests above 4 MiB are refused, as the distribution-spec suggests.
    static let manifestLimit = 4 << 20
    /// Tags that one push by digest may set.
    static let tagLimit = 100

    let store: ImageStore
    let tickets: UploadTickets
    let gate: UploadGate
    let metrics: RegistryMetrics
    let challenge: String
    let authorize: RegistryAuthorization

    func respond(to request: Request, context: some RequestContext) async throws -> Response {
        let begun = ContinuousClock.now
        var response: Response
        do {
            response = try await dispatch(request, context)
        } catch {
            if error is CancellationError { throw error }
            if let failure = RegistryFailure(error) {
                response = failure.response
                if failure.status.kind == .serverError { context.logger.error("registry: \(error)") }
            } else {
                // The body broke off (the client went away) or something unforeseen happened.
                context.logger.info("registry: request failed: \(error)")
                response = RegistryFailure(.internalServerError, .unknown, "the request could not be completed").response
            }
            if request.method == .head { response = response.createHeadResponse() }
        }
        response.headers[.dockerDistributionAPIVersion] = "registry/2.0"
        metrics.observe(
            RegistryPath.operation(of: request), status: response.status.code, after: ContinuousClock.now - begun,
            sent: request.method == .head ? 0 : Int64(response.body.contentLength ?? 0))
        return response
    }

    private func dispatch(_ request: Request, _ context: some RequestContext) async throws -> Response {
        guard let path = try RegistryPath(request.uri.path) else {
            throw RegistryFailure(.notFound, .unsupported, "no such registry address")
        }
        let reading = request.method == .get || request.method == .head
        let action: RegistryAction
        if case .upload = path { action = .push } else { action = reading ? .pull : .push }
        try await require(action, path.repository, request)

        let method = request.method
        switch path {
        case .base where reading:
            return Response(status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: .init(string: "{}")))
        case .catalog where method == .get:
            return try await catalog(request)
        case .tags(let name) where method == .get:
            return try await tags(name, request)
        case .referrers(let name, let digest) where method == .get:
            return try await referrers(name, digest, request)
        case .manifest(let name, let reference):
            switch method {
            case .get: return try await getManifest(name, reference, request)
            case .head: return try await getManifest(name, reference, request).createHeadResponse()
            case .put: return try await putManifest(name, reference, request)
            case .delete: return try await deleteManifest(name, reference)
            default: break
            }
        case .blob(let name, let digest):
            switch method {
            case .get: return try await getBlob(name, digest, request, context)
            case .head: return try await getBlob(name, digest, request, context).createHeadResponse()
            case .delete: return try await deleteBlob(name, digest)
            default: break
            }
        case .uploads(let name) where method == .post:
            return try await beginUpload(name, request)
        case .upload(let name, let ticket):
            let id = try uploadID(ticket, name)
            switch method {
            case .get: return try await uploadStatus(name, id)
            case .patch: return try await continueUpload(name, id, request)
            case .put: return try await finishUpload(name, id, request)
            case .delete: return try await cancelUpload(id)
            default: break
            }
        default: break
        }
        throw RegistryFailure(.methodNotAllowed, .unsupported, "\(method.rawValue) is not supported here")
    }

    func require(_ action: RegistryAction, _ repository: RepositoryName?, _ request: Request) async throws {
        guard try await authorize(request, action, repository) else {
            throw RegistryFailure(
                .unauthorized, .unauthorized,
                "log in to \(action.rawValue)\(repository.map { " \($0)" } ?? "")",
                headers: [.wwwAuthenticate: challenge])
        }
    }
}
