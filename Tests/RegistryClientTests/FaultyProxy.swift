import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// Stands between a client and a registry and breaks what it can, at every point of the exchange. Counts what is uploaded.
final class FaultyProxy: Sendable {
    enum Fault: CaseIterable {
        /// The connection is reset before the body, in its middle, or before the answer.
        case resetBefore, resetInside, resetAfter
        case delay
        /// Answered here, without asking the registry.
        case tooMany, failing, unavailable
        /// The registry did it, the client hears that it failed.
        case failingAfter
        /// The answer does not say how far the upload is.
        case withoutRange
    }

    /// What one upload of a large blob looked like from here.
    struct Tally {
        /// Bytes of bodies that arrived for the large blob, the end of the blob that was reached, and faults.
        var bytes: Int64 = 0
        var reached: Int64 = 0
        /// The most that one request sent again of what had arrived before.
        var mostSentAgain: Int64 = 0
        var faults: [Fault] = []
        /// Reached once: `kill` is called.
        var killAt: Int64?
        var kill: (@Sendable () -> Void)?
    }

    let upstream: Int
    /// Requests with smaller bodies are not those of the large blob.
    let large: Int64
    private let chance: Double
    private let state: Mutex<(random: SplitMix, tally: Tally)>

    init(upstream: Int, seed: UInt64, chance: Double, large: Int64) {
        (self.upstream, self.chance, self.large) = (upstream, chance, large)
        state = Mutex((SplitMix(state: seed), Tally()))
    }

    var tally: Tally { state.withLock { $0.tally } }

    func begin(killAt: Int64? = nil, kill: (@Sendable () -> Void)? = nil) {
        state.withLock { state in
            state.tally.killAt = killAt
            state.tally.kill = kill
        }
    }

    func reset() { state.withLock { $0.tally = Tally() } }

    private func choose() -> Fault? {
        state.withLock { state in
            guard Double.random(in: 0..<1, using: &state.random) < chance else { return nil }
            let fault = Fault.allCases.randomElement(using: &state.random)
            if let fault { state.tally.faults.append(fault) }
            return fault
        }
    }

    /// Serves on a loopback port while `body` runs.
    func serve(_ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await listening({ connection in { try await self.connection(connection) } }, body)
    }

    private struct Reset: Error {}

    /// One request, one connection.
    private func connection(_ near: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async throws {
        let channel = near.channel
        do {
            try await near.executeThenClose { input, output in
                var reader = HeadReader(input.makeAsyncIterator())
                guard let head = try await reader.head() else { return }
                try await answer(head, &reader, output)
            }
        } catch is Reset {
            // Nothing is sent any more, not even a proper end.
            try await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
            try await channel.close()
        }
    }

    private func answer(
        _ head: RequestHead, _ reader: inout HeadReader, _ output: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) async throws {
        let fault = choose()
        switch fault {
        case .resetBefore: throw Reset()
        case .delay: try await Task.sleep(for: .milliseconds(20))
        case .tooMany, .failing, .unavailable:
            let status = [.tooMany: "429 Too Many", .failing: "500 Failing"][fault] ?? "503 Away"
            try await output.write(
                ByteBuffer(string: "HTTP/1.1 \(status)\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
            return
        default: break
        }
        let far = try await connect(to: upstream)
        let response = try await far.executeThenClose { farInput, farOutput -> ByteBuffer in
            try await farOutput.write(ByteBuffer(string: head.forwarded))
            var left = fault == .resetInside ? head.length / 2 : head.length
            var place = head.first
            note(head)
            while left > 0 {
                guard let piece = try await reader.body(upTo: left) else { throw Reset() }
                left -= Int64(piece.readableBytes)
                place += Int64(piece.readableBytes)
                note(piece, of: head, until: place)
                try await farOutput.write(piece)
            }
            if fault == .resetInside { throw Reset() }
            var response = ByteBuffer()
            for try await piece in farInput { response.writeImmutableBuffer(piece) }
            return response
        }
        switch fault {
        case .resetAfter: throw Reset()
        case .failingAfter:
            try await output.write(ByteBuffer(string: "HTTP/1.1 500 Failing\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
        case .withoutRange: try await output.write(ByteBuffer(string: String(buffer: response).replacing(#/\r\n[Rr]ange: [^\r]*/#, with: "")))
        default: try await output.write(response)
        }
    }

    private func isCounted(_ head: RequestHead) -> Bool {
        head.length >= large && (head.method == "PATCH" || head.method == "PUT") && head.path.contains("/blobs/uploads/")
    }

    /// A large body begins: was this sent before?
    private func note(_ head: RequestHead) {
        guard isCounted(head) else { return }
        state.withLock { $0.tally.mostSentAgain = max($0.tally.mostSentAgain, $0.tally.reached - head.first) }
    }

    private func note(_ piece: ByteBuffer, of head: RequestHead, until place: Int64) {
        guard isCounted(head) else { return }
        let kill = state.withLock { state -> (@Sendable () -> Void)? in
            state.tally.bytes += Int64(piece.readableBytes)
            state.tally.reached = max(state.tally.reached, place)
            guard let limit = state.tally.killAt, state.tally.bytes >= limit else { return nil }
            state.tally.killAt = nil
            return state.tally.kill
        }
        kill?()
    }
}

/// What a request says of itself.
struct RequestHead {
    let method: String
    let path: String
    let length: Int64
    /// Where its body begins in the blob.
    let first: Int64
    /// As it goes to the registry: one request, one connection.
    let forwarded: String

    init(_ text: String) {
        let lines = text.components(separatedBy: "\r\n").filter { !$0.isEmpty }
        let words = (lines.first ?? "").split(separator: " ").map(String.init)
        method = words.first ?? ""
        path = words.count > 1 ? words[1] : ""
        func value(_ name: String) -> String? {
            lines.first { $0.lowercased().hasPrefix("\(name):") }.map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
        }
        length = value("content-length").flatMap { Int64($0) } ?? 0
        first = value("content-range").flatMap { $0.split(separator: "-").first.flatMap { Int64($0) } } ?? 0
        let kept = lines.filter { !$0.lowercased().hasPrefix("connection:") }
        forwarded = (kept + ["Connection: close"]).joined(separator: "\r\n") + "\r\n\r\n"
    }
}

/// Reads one request from a connection.
struct HeadReader {
    private var input: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private var rest = ByteBuffer()

    init(_ input: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator) { self.input = input }

    mutating func head() async throws -> RequestHead? {
        while true {
            let view = rest.readableBytesView
            if let end = view.firstRange(of: Array("\r\n\r\n".utf8)) {
                let length = end.upperBound - view.startIndex
                return rest.readString(length: length).map { RequestHead($0) }
            }
            guard let more = try await input.next() else { return nil }
            rest.writeImmutableBuffer(more)
        }
    }

    mutating func body(upTo limit: Int64) async throws -> ByteBuffer? {
        if rest.readableBytes == 0 {
            guard let more = try await input.next() else { return nil }
            rest = more
        }
        return rest.readSlice(length: min(rest.readableBytes, Int(limit)))
    }
}

/// Random numbers that can be had again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
