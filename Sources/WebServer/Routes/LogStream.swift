import ContainerRuntime
import DeliveryModel
import FoundationEssentials
import HTTPTypes
import Hummingbird
import PipelineEngine
import StateStore

/// `GET /runs/<id>/events?step=<name>[&after=<offset>]`: one step's log as server-sent events (WHATWG HTML, 9.2).
///
/// Every line's id is the byte offset behind it, so a browser that comes back names exactly where to go on.
func addLogStream(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/runs/:run/events") { request, context -> Response in
        try parts.access.requireReader(request)
        let run = try await findRun(context, parts)
        let step = try await findStep(request.uri.queryParameters.get("step") ?? "", of: run, parts)
        let resumed = HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] }.flatMap { Int64($0) }
        let start = max(0, resumed ?? request.uri.queryParameters.get("after", as: Int64.self) ?? 0)
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-store", .xContentTypeOptions: "nosniff"],
            body: .init { writer in
                try await send(run: run, step: step.name, from: start, parts, to: &writer)
                try await writer.finish(nil)
            })
    }
}

private struct LineEvent: Encodable {
    var html: String
    var time: String
    var stream: String
}

private func send(
    run: Run, step: String, from start: Int64, _ parts: WebParts, to writer: inout any ResponseBodyWriter
) async throws {
    var offset = start
    var idle = 0
    while !Task.isCancelled {
        let complete = try await isOver(run.id, step, parts)
        let log = try await parts.engine.maskedLog(run: run, step: step)
        let lines = try await log.lines(from: offset, limit: 500)
        var text = ""
        for line in lines {
            let event = LineEvent(html: AnsiHTML.line(line.text), time: line.time, stream: line.stream.rawValue)
            let data = String(decoding: try JSONEncoder().encode(event), as: UTF8.self)
            text += "id: \(line.offset)\nevent: line\ndata: \(data)\n\n"
            offset = line.offset
        }
        if lines.isEmpty {
            if complete {
                try await writer.write(ByteBuffer(string: "event: end\ndata: {}\n\n"))
                return
            }
            idle += 1
            // A comment now and then finds out that nobody listens any more.
            if idle % 50 == 0 { text = ": waiting\n\n" }
        }
        if !text.isEmpty { try await writer.write(ByteBuffer(string: text)) }
        if lines.count < 500, !complete { try await Task.sleep(for: .milliseconds(100)) }
    }
}

private func isOver(_ run: Int64, _ step: String, _ parts: WebParts) async throws -> Bool {
    guard let current = try await parts.store.run(run), !current.state.isTerminal else { return true }
    return try await parts.engine.shownSteps(of: current).first { $0.name == step }?.state.isTerminal ?? true
}
