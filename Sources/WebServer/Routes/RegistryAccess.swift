import Foundation
import Hummingbird
import OCIModel
import RegistryServer

/// The registry, and the token endpoint its clients ask first.
///
/// `/v2/` answers 401 to the unknown even where everybody may pull: docker and skopeo look there once to learn how to
/// send credentials, and never send any when it answers 200. The challenge is Bearer, because with Basic docker
/// refuses to pull without a login.
func addRegistryAccess(to router: Router<WebContext>, _ parts: WebParts) {
    let gate = RegistryGuard(parts)
    addRegistryRoutes(
        to: router, store: parts.images, uploadKey: parts.uploadKey, limits: parts.registry.limits,
        metrics: parts.registry.metrics, challenge: gate.challenge([], error: nil)
    ) { request, action, repository in
        try await gate.decide(request, action, repository)
    }
    addTokenEndpoint(to: router, gate)
}

/// Decides on requests to the registry.
struct RegistryGuard: Sendable {
    let identities: RegistryIdentities
    let signer: GrantSigner
    private let realm: String

    init(_ parts: WebParts) {
        identities = RegistryIdentities(
            access: parts.access, store: parts.store, anonymousPull: parts.registry.anonymousPull, clock: parts.access.clock)
        signer = GrantSigner(key: parts.registry.tokenKey)
        realm = "\(parts.publicURL)/registry/token"
    }

    private struct Caller {
        let identity: RegistryIdentity
        /// Nil: the credentials themselves were sent, and allow whatever the identity may.
        let grant: RegistryGrant?
    }

    /// Throws 401 with a challenge that says what to ask the token endpoint for, or 403 where no token would help.
    func decide(_ request: Request, _ action: RegistryAction, _ repository: RepositoryName?) async throws -> Bool {
        guard let caller = try await caller(of: request) else {
            throw unauthorized(request, repository, action, error: "invalid_token")
        }
        guard let repository else {
            let isCatalog = request.uri.path.hasPrefix("/v2/_")
            if case .anonymous = caller.identity, caller.grant == nil, !isCatalog || !identities.anonymousPull {
                throw unauthorized(request, nil, action, error: nil)
            }
            return true
        }
        guard identities.may(caller.identity, action, repository) else {
            if case .anonymous = caller.identity { throw unauthorized(request, repository, action, error: nil) }
            throw HTTPError(.forbidden, message: "this token may not \(action.rawValue) \(repository)")
        }
        // A grant narrows what its owner may do, but not below what anybody may. The catalog asks for every repository
        // it lists; no client can name them in advance.
        let isOpen = identities.may(.anonymous, action, repository)
        if let grant = caller.grant, !isOpen, !request.uri.path.hasPrefix("/v2/_") {
            let words = request.method == .delete ? ["delete", "push"] : [action.rawValue]
            guard words.contains(where: { grant.allows($0, repository) }) else {
                throw unauthorized(request, repository, action, error: "insufficient_scope")
            }
        }
        return true
    }

    /// Nil when the credentials are wrong; a request without any comes from anonymous.
    private func caller(of request: Request) async throws -> Caller? {
        guard let header = request.headers[.authorization] else { return Caller(identity: .anonymous, grant: nil) }
        if let password = RegistryIdentities.password(inBasic: header) {
            return try await identities.identity(ofSecret: password).map { Caller(identity: $0, grant: nil) }
        }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = String(parts[1])
        if let grant = signer.open(token, at: identities.clock()) {
            return try await identities.identity(ofSubject: grant.sub).map { Caller(identity: $0, grant: grant) }
        }
        return try await identities.identity(ofSecret: token).map { Caller(identity: $0, grant: nil) }
    }

    private func unauthorized(
        _ request: Request, _ repository: RepositoryName?, _ action: RegistryAction, error: String?
    ) -> HTTPError {
        var scopes = repository.map { ["repository:\($0):\(action == .push ? "pull,push" : "pull")"] } ?? []
        if let (target, source) = Self.mount(request) { scopes = ["repository:\(target):pull,push", "repository:\(source):pull"] }
        return HTTPError(
            .unauthorized, headers: [.wwwAuthenticate: challenge(scopes, error: error)],
            message: "log in to \(action.rawValue)\(repository.map { " \($0)" } ?? "")")
    }

    /// A mount touches two repositories; a token for one of them would not do.
    private static func mount(_ request: Request) -> (target: RepositoryName, source: RepositoryName)? {
        let path = request.uri.path
        guard let from = request.uri.queryParameters["from"], let source = try? RepositoryName(parsing: String(from)),
            request.uri.queryParameters["mount"] != nil, path.hasPrefix("/v2/"),
            let end = path.firstRange(of: "/blobs/uploads"),
            let target = try? RepositoryName(parsing: String(path[..<end.lowerBound].dropFirst("/v2/".count)))
        else { return nil }
        return (target, source)
    }

    /// RFC 6750, section 3, with the scope of Docker's token specification.
    func challenge(_ scopes: [String], error: String?) -> String {
        var text = #"Bearer realm="\#(realm)",service="\#(RegistryGrant.service)""#
        if !scopes.isEmpty { text += #",scope="\#(scopes.joined(separator: " "))""# }
        if let error { text += #",error="\#(error)""# }
        return text
    }
}
