import DeliveryModel
import Foundation
import Hummingbird
import PipelineEngine
import StateStore

/// What forms post. Every one but the login needs a session and the form's own code (`csrf`).
extension Pages {
    func addSessionRoutes(to router: Router<WebContext>) {
        router.get("/login") { request, _ -> Response in
            try await loginPage(request, next: request.uri.queryParameters.get("next") ?? "/")
        }
        router.post("/login") { request, _ -> Response in
            let form = try await readForm(request)
            let next = localPath(form["next"])
            let token = form["token"]?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
            guard try await parts.access.caller(ofToken: token) != nil else {
                return try await loginPage(request, next: next, problem: "That is no token of a person.", status: .unauthorized)
            }
            var response = redirect(next)
            response.headers[.setCookie] = cookie(parts.access.newSession(token: token), seconds: Int(Access.sessionSeconds))
            return response
        }
        router.post("/logout") { request, _ -> Response in
            _ = try await authorizedForm(request, .viewer)
            var response = redirect("/")
            response.headers[.setCookie] = cookie("", seconds: 0)
            return response
        }
    }

    private func cookie(_ value: String, seconds: Int) -> String {
        let secure = parts.publicURL.hasPrefix("https:") ? "; Secure" : ""
        return "\(Access.cookie)=\(value); Path=/; HttpOnly; SameSite=Strict; Max-Age=\(seconds)\(secure)"
    }

    private func loginPage(
        _ request: Request, next: String, problem: String? = nil, status: HTTPResponse.Status = .ok
    ) async throws -> Response {
        let shell = try await shell("Sign in", [Crumb("Projects", url: "/"), Crumb("Sign in")], request)
        let page = LoginPage(shell: shell, problem: problem, next: localPath(next), tokenFile: parts.tokenFile)
        return html(renderer.render(page), status: status)
    }

    /// Only a path of this server: a link must not send people elsewhere after they signed in.
    private func localPath(_ text: String?) -> String {
        guard let text, text.hasPrefix("/"), !text.hasPrefix("//"), !text.contains("\\"),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return "/" }
        return text
    }

    func addActionRoutes(to router: Router<WebContext>) {
        for approve in [true, false] {
            router.post("/deployments/:deployment/\(approve ? "approve" : "reject")") { request, context -> Response in
                let form = try await authorizedForm(request)
                guard let id = context.parameters.get("deployment", as: Int64.self),
                    let deployment = try await parts.store.deployment(id)
                else { throw RequestProblem(.notFound, "there is no such deployment", hint: "go back and reload") }
                let decision = try await decide(
                    id,
                    NewDecision(
                        actor: form.actor, approved: approve, comment: form["comment"], digest: try seenDigest(form["digest"]),
                        configuration: form["configuration"]), parts)
                return redirect("\(PageURL.project(deployment.project))?done=\(decision.outcome)")
            }
        }
        router.post("/projects/:project/stages/:stage/promote") { request, context -> Response in
            let form = try await authorizedForm(request)
            let place = try await place(context, form)
            _ = try await parts.engine.promote(
                to: place, release: form["release"].flatMap { Int64($0) }, by: form.actor)
            return redirect("\(PageURL.project(place.project))?done=promoted")
        }
        router.post("/projects/:project/stages/:stage/rollback") { request, context -> Response in
            let form = try await authorizedForm(request)
            let place = try await place(context, form)
            _ = try await parts.engine.rollback(
                place, to: form["release"].flatMap { Int64($0) }, by: form.actor)
            return redirect("\(PageURL.project(place.project))?done=rolledback")
        }
        router.post("/projects/:project/stages/:stage/override") { request, context -> Response in
            let form = try await authorizedForm(request)
            let place = try await place(context, form)
            let reason = try overrideReason(form["reason"])
            _ = try await parts.engine.overrideFreeze(place, reason: reason, by: form.actor)
            return redirect("\(PageURL.project(place.project))?done=overridden")
        }
        router.post("/runs/:run/cancel") { request, context -> Response in
            let form = try await authorizedForm(request)
            let run = try await findRun(context, parts)
            _ = try await parts.engine.cancel(run: run.id, by: form.actor)
            return redirect("\(PageURL.run("\(run.id)"))?done=cancelled")
        }
        router.post("/runs/:run/rerun") { request, context -> Response in
            let form = try await authorizedForm(request)
            let run = try await findRun(context, parts)
            let scope = try RerunRequest(failed: form["failed"] != nil, from: form["from"]).scope()
            switch try await parts.engine.rerun(run, scope, key: form["key"] ?? "", by: form.actor) {
            case .created(let id), .exists(let id): return redirect("\(PageURL.run("\(id)"))?done=rerun")
            }
        }
    }

    private func place(_ context: WebContext, _ form: PostedForm) async throws -> StageName {
        try await parts.engine.stage(
            try context.parameters.require("stage"), of: try context.parameters.require("project"),
            pipeline: form["pipeline"])
    }

    /// A form of a session, whose holder may do what it asks for.
    func authorizedForm(_ request: Request, _ role: Role = .deployer) async throws -> PostedForm {
        guard let session = parts.access.session(of: request), let caller = try await parts.access.caller(ofSession: session) else {
            throw RequestProblem(.unauthorized, "you are not signed in", hint: "sign in at /login and try again")
        }
        let form = try await readForm(request)
        guard parts.access.isCSRF(form["csrf"] ?? "", for: session) else {
            throw RequestProblem(.forbidden, "the form is not from this session", hint: "reload the page and try again")
        }
        return PostedForm(actor: try caller.acting(as: role), fields: form)
    }
}

/// What somebody who is signed in has sent.
struct PostedForm: Sendable {
    let actor: String
    let fields: [String: String]

    subscript(name: String) -> String? { fields[name] }
}

/// An `application/x-www-form-urlencoded` body of at most 64 KiB.
func readForm(_ request: Request) async throws -> [String: String] {
    var request = request
    let buffer = try await request.collectBody(upTo: 64 << 10)
    var form: [String: String] = [:]
    for pair in String(buffer: buffer).split(separator: "&") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        func decode(_ text: Substring) -> String {
            let spaced = text.replacing("+", with: " ")
            return String(spaced).removingPercentEncoding ?? String(spaced)
        }
        form[decode(parts[0])] = parts.count == 2 ? decode(parts[1]) : ""
    }
    return form
}
