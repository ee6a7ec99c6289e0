import Hummingbird
import WebAssets

/// The files the pages link to, out of the binary. Their address holds a version, so a browser may keep them.
func addAssetRoutes(to router: Router<WebContext>) {
    router.get("/assets/:file") { _, context -> Response in
        guard let name = context.parameters.get("file"), let file = WebAssets.files[name] else {
            throw HTTPError(.notFound)
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: file.contentType, .cacheControl: "public, max-age=31536000, immutable",
                .xContentTypeOptions: "nosniff",
            ], body: .init(byteBuffer: ByteBuffer(bytes: file.bytes)))
    }
}
