import ContainerRuntime
import DeliveryModel
import FoundationEssentials
import HTTPTypes
import Hummingbird
import PipelineEngine
import ServiceLifecycle
import StateStore

/// `GET /runs/<id>/events?step=<name>[&after=<offset>]`: one step's log as server-sent events (WHATWG HTML, 9.2).
///
/// Every line's id is the byte offset behind it, so a browser that comes back names exactly where to go on. A server that stops
/// ends the stream between two lines, without the event `end`.
func addLogStream(to router: Router<WebContext>, _ parts: WebParts) {
    let feeds = LogFeeds()
    router.get("/runs/:run/events") { request, context -> Response in
        try await parts.access.requireReader(request)
        let run = try await findRun(context, parts)
        let step = try await findStep(request.uri.queryParameters.get("step") ?? "", of: run, parts)
        let resumed = HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] }.flatMap { Int64($0) }
        let start = max(0, resumed ?? request.uri.queryParameters.get("after", as: Int64.self) ?? 0)
        let feed = feeds.feed("\(run.id)/\(step.name)") { LogFeed(source(run, step.name, parts), from: start) }
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-store", .xContentTypeOptions: "nosniff"],
            body: .init { writer in
                try await send(feed, from: start, to: &writer)
                try await writer.finish(nil)
            })
    }
}

private func send(
    _ feed: LogFeed, from start: Int64, to writer: inout any ResponseBodyWriter
) async throws {
    var offset = start
    // Milliseconds until the browser comes back after a stream that ended.
    try await writer.write(ByteBuffer(string: "retry: 500\n\n"))
    while true {
        let from = offset
        let answer: LogFeed.Answer
        do {
            answer = try await cancelWhenGracefulShutdown { try await feed.next(after: from) }
        } catch is CancellationError where Task.isShuttingDownGracefully {
            return
        }
        switch answer {
        case .piece(let piece):
            if !piece.text.isEmpty { try await writer.write(ByteBuffer(string: piece.text)) }
            offset = piece.offset
        case .nothingYet:
            // A comment now and then finds out that nobody listens any more.
            try await writer.write(ByteBuffer(string: ": waiting\n\n"))
        case .end:
            return try await writer.write(ByteBuffer(string: "event: end\ndata: {}\n\n"))
        }
    }
}

private func source(_ run: Run, _ step: String, _ parts: WebParts) -> LogFeed.Source {
    LogFeed.Source { offset, limit in
        try await parts.engine.maskedLog(run: run, step: step).lines(from: offset, limit: limit)
    } isComplete: {
        guard let current = try await parts.store.run(run.id), !current.state.isTerminal else { return true }
        return try await parts.engine.shownSteps(of: current).first { $0.name == step }?.state.isTerminal ?? true
    }
}
