import FoundationEssentials
import GitRepository
import Hummingbird
import Logging
import PipelineEngine
import StateStore

/// An answer that is not a success: what, where, how to fix.
struct RequestProblem: Error {
    var status: HTTPResponse.Status
    var message: String
    var hint: String
    /// Seconds after which asking again makes sense.
    var retryAfter: Int?

    init(_ status: HTTPResponse.Status, _ message: String, hint: String) {
        self.status = status
        self.message = message
        self.hint = hint
    }

    static func unknown(_ kind: String, _ name: String, hint: String) -> RequestProblem {
        RequestProblem(.notFound, "there is no \(kind) '\(name.prefix(100))'", hint: hint)
    }
}

/// A problem as JSON.
public struct ProblemValue: Codable, Sendable {
    public var error: String
    public var hint: String
}

/// Turns what handlers throw into answers: JSON for programs, a page for people.
struct ProblemMiddleware: RouterMiddleware {
    let renderer: PageRenderer
    let logger: Logger

    func handle(
        _ request: Request, context: WebContext,
        next: (Request, WebContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as CancellationError {
            throw error
        } catch {
            let problem = Self.problem(error, request, logger)
            var response = answer(problem, to: request)
            if let seconds = problem.retryAfter { response.headers[.retryAfter] = "\(seconds)" }
            return response
        }
    }

    private static func problem(_ error: any Error, _ request: Request, _ logger: Logger) -> RequestProblem {
        switch error {
        case let problem as RequestProblem: return problem
        case let error as EngineError:
            return RequestProblem(.conflict, error.message, hint: error.hint)
        case let error as StateError:
            let status: HTTPResponse.Status =
                switch error.code {
                case .exists: .conflict
                case .notFound: .notFound
                case .newerSchema, .unavailable, .damaged, .damagedSecret: .serviceUnavailable
                }
            var problem = RequestProblem(status, error.message, hint: error.hint)
            if error.isOutage { problem.retryAfter = error.code == .damaged ? 60 : 5 }
            return problem
        case let error as GitError: return RequestProblem(.badRequest, error.message, hint: error.hint)
        case let error as any HTTPResponseError:
            let what = error.status == .notFound ? "there is nothing at this address" : "\(error.status)"
            return RequestProblem(error.status, what, hint: "check the address")
        default:
            logger.error("\(request.method) \(request.uri.path) failed: \(error)")
            return RequestProblem(.internalServerError, "\(error)", hint: "the server's log tells more")
        }
    }

    private func answer(_ problem: RequestProblem, to request: Request) -> Response {
        let wantsPage = request.headers[.accept]?.contains("text/html") ?? false
        if wantsPage, !request.uri.path.hasPrefix("/api/") {
            let page = ErrorPage(
                shell: Shell(title: "\(problem.status.code)", crumbs: [Crumb("Projects", url: "/")], user: nil, csrf: ""),
                status: Int(problem.status.code), heading: problem.status.reasonPhrase, message: problem.message,
                hint: problem.hint)
            return html(renderer.render(page), status: problem.status)
        }
        let value = ProblemValue(error: problem.message, hint: problem.hint)
        return (try? json(value, status: problem.status)) ?? plainText("\(problem.message)\n", status: problem.status)
    }
}

func html(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
        status: status,
        headers: [
            .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
            .contentSecurityPolicy:
                "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
                + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            .xContentTypeOptions: "nosniff",
        ], body: .init(byteBuffer: ByteBuffer(string: text)))
}

func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Response(
        status: status, headers: [.contentType: "application/json"],
        body: .init(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
}

/// The body of an API request, at most 1 MiB. `ifEmpty` stands for no body at all.
func decodeBody<T: Decodable>(_ type: T.Type, _ request: Request, ifEmpty: T? = nil) async throws -> T {
    var request = request
    do {
        let buffer = try await request.collectBody(upTo: 1 << 20)
        if let ifEmpty, buffer.readableBytes == 0 { return ifEmpty }
        return try JSONDecoder().decode(type, from: Data(buffer.readableBytesView))
    } catch let error as DecodingError {
        throw RequestProblem(.badRequest, "the body is not what this call takes: \(error)", hint: "see docs/cli.md")
    }
}

func redirect(_ location: String) -> Response {
    Response(status: .seeOther, headers: [.location: location])
}
