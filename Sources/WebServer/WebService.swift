import ContainerRuntime
import GitRepository
public import Hummingbird
public import ImageStore
public import Logging
public import PipelineEngine
import RegistryServer
public import StateStore

/// Everything the routes need; a handler's dependencies are its parameters, and this is where they come from.
public struct WebParts: Sendable {
    public var store: any StateStore
    public var engine: PipelineEngine
    public var images: ImageStore
    public var secrets: SecretBox
    public var access: Access
    public var registry: RegistryParts
    /// The address users reach this server at, without a slash at the end.
    public var publicURL: String
    /// Binds the registry's upload addresses to their repository; the same at every start, so that uploads go on.
    public var uploadKey: [UInt8]
    /// The port of the router, for links to stages.
    public var routerPort: Int
    /// Where the administrator's token is, for the login page.
    public var tokenFile: String
    public var logger: Logger

    public init(
        store: any StateStore, engine: PipelineEngine, images: ImageStore, secrets: SecretBox, access: Access,
        registry: RegistryParts, publicURL: String, uploadKey: [UInt8], routerPort: Int, tokenFile: String, logger: Logger
    ) {
        self.store = store
        self.engine = engine
        self.images = images
        self.secrets = secrets
        self.access = access
        self.registry = registry
        self.publicURL = publicURL
        self.uploadKey = uploadKey
        self.routerPort = routerPort
        self.tokenFile = tokenFile
        self.logger = logger
    }
}

/// The context of one request.
public typealias WebContext = BasicRequestContext

/// All routes of the one port: webhooks, pages, JSON API, registry, health.
public func makeRouter(_ parts: WebParts) throws -> Router<WebContext> {
    let renderer = try PageRenderer()
    let router = Router(context: WebContext.self)
    router.add(middleware: ProblemMiddleware(renderer: renderer, logger: parts.logger))
    addHealthRoutes(to: router, store: parts.store, disk: parts.engine.diskSpace)
    addAssetRoutes(to: router)
    addWebhookRoutes(to: router, parts)
    addRegistryAccess(to: router, parts)
    addTokenAPI(to: router, parts)
    addRegistryCare(to: router, parts)
    addMetrics(to: router, parts)
    addProjectAPI(to: router, parts)
    addNotificationAPI(to: router, parts)
    addOutboxAPI(to: router, parts)
    addRunAPI(to: router, parts)
    addStageAPI(to: router, parts)
    addRolloutAPI(to: router, parts)
    addJobAPI(to: router, parts)
    addLedgerAPI(to: router, parts)
    let pages = Pages(parts: parts, renderer: renderer)
    pages.addSessionRoutes(to: router)
    pages.addProjectRoutes(to: router)
    pages.addRunRoutes(to: router)
    pages.addActionRoutes(to: router)
    pages.addRolloutRoutes(to: router)
    pages.addJobRoutes(to: router)
    pages.addOutboxRoutes(to: router)
    pages.addBoardRoutes(to: router)
    pages.addLedgerRoutes(to: router)
    pages.addPlanRoutes(to: router)
    addLogStream(to: router, parts)
    return router
}

/// The routes of a server that only works: whether it does, and its metrics.
public func makeWorkerRouter(_ parts: WebParts) throws -> Router<WebContext> {
    let router = Router(context: WebContext.self)
    router.add(middleware: ProblemMiddleware(renderer: try PageRenderer(), logger: parts.logger))
    addHealthRoutes(to: router, store: parts.store, disk: parts.engine.diskSpace)
    addMetrics(to: router, parts)
    return router
}

func addHealthRoutes(to router: Router<WebContext>, store: any StateStore, disk: DiskSpace) {
    router.get("/healthz") { _, _ in "ok\n" }
    router.get("/readyz") { _, _ -> Response in
        do {
            try await store.ping()
            if let shortage = disk.shortage() {
                return plainText("not ready: \(shortage.problem); \(shortage.hint)\n", status: .serviceUnavailable)
            }
            return plainText("ready\n")
        } catch let error as StateError where error.code == .damaged {
            return plainText("not ready: \(error)\n", status: .serviceUnavailable)
        } catch {
            return plainText("not ready: the store does not answer: \(error)\n", status: .serviceUnavailable)
        }
    }
}

func plainText(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
        status: status, headers: [.contentType: "text/plain; charset=utf-8"],
        body: .init(byteBuffer: ByteBuffer(string: text)))
}
