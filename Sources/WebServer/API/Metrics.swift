import Hummingbird
import ImageStore
import PipelineEngine
import RegistryServer
import StateStore

/// `/metrics`, and `/metrics/targets`: where the instances' own are, for Prometheus to find them.
func addMetrics(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/metrics") { request, _ -> Response in
        try await parts.access.requireReader(request)
        let blobs = try await parts.images.blobDigests().count
        let bytes = try await parts.images.totalBytes()
        let store = """
            # HELP slipway_store_blobs Blobs in the image store.
            # TYPE slipway_store_blobs gauge
            slipway_store_blobs \(blobs)
            # HELP slipway_store_bytes Bytes of all blobs.
            # TYPE slipway_store_bytes gauge
            slipway_store_bytes \(bytes)

            """
        var response = plainText(parts.registry.metrics.text + store + parts.registry.history.text)
        response.headers[.contentType] = "text/plain; version=0.0.4; charset=utf-8"
        return response
    }

    // https://prometheus.io/docs/prometheus/latest/http_sd/
    router.get("/metrics/targets") { request, _ -> Response in
        struct Group: Encodable {
            var targets: [String]
            var labels: [String: String]
        }
        try await parts.access.requireReader(request)
        let groups = try await parts.engine.servingInstances().map { deployment, endpoints in
            let place = ["project": deployment.project, "pipeline": deployment.pipeline, "stage": deployment.stage]
            return Group(targets: endpoints, labels: place.merging(["deployment": "\(deployment.id)"]) { $1 })
        }
        return try json(groups)
    }
}
