import BlockingQueue
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import Testing

@testable import WebServer

/// A server that ends while others have its socket open.
@Suite struct WebListenerTests {
    /// A connection of a client that takes its time.
    private struct Client {
        let socket: Int32
        private let queue = BlockingQueue(label: "client", width: 1)

        init(port: in_port_t) throws {
            socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var time = timeval(tv_sec: 60, tv_usec: 0)
            setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
            var address = loopback(port)
            let connected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            try #require(connected == 0, "connect: \(errno)")
        }

        func ask(_ path: String) throws {
            let text = "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n"
            #expect(send(socket, text, text.utf8.count, Int32(MSG_NOSIGNAL)) == text.utf8.count)
        }

        /// What comes, up to `end` or the connection's.
        func hear(_ end: String = "\r\n\r\n\r\n") async throws -> String { try await queue.run { _ in receive(end) } }

        private func receive(_ end: String) -> String {
            var heard: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 4096)
            while !String(decoding: heard, as: UTF8.self).hasSuffix(end) {
                let count = recv(socket, &chunk, chunk.count, 0)
                if count <= 0 { break }
                heard += chunk[..<count]
            }
            return String(decoding: heard, as: UTF8.self)
        }
    }

    private static func loopback(_ port: in_port_t) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private func listeningSocket() throws -> (socket: Int32, port: in_port_t) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, size) + listen(socket, 16) + getsockname(socket, $0, &size)
            }
        }
        try #require(status == 0)
        return (socket, in_port_t(bigEndian: address.sin_port))
    }

    /// A server on the socket while `body` runs, which says when it is to end.
    private func serve(
        _ socket: Int32, _ router: Router<WebContext>, patience: Duration = .seconds(60), quiet: Duration = .seconds(60),
        _ body: (_ end: @Sendable () async -> Void) async throws -> Void
    ) async throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let listener = WebListener(socket: socket, router: router, patience: patience, quiet: quiet, logger: logger)
        let services = ServiceGroup(configuration: .init(services: [listener], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            try await body { await services.triggerGracefulShutdown() }
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
    }

    @Test func whatWasAskedIsAnsweredAndWhoComesWaits() async throws {
        let (socket, port) = try listeningSocket()
        defer { close(socket) }
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let router = Router(context: WebContext.self)
        router.get("/") { _, _ in "well\r\n\r\n\r\n" }
        router.get("/slow") { _, _ in
            for await _ in gate {}
            return "slow\r\n\r\n\r\n"
        }
        var later: Client?
        try await serve(socket, router) { end in
            let (kept, slow) = (try Client(port: port), try Client(port: port))
            try kept.ask("/")
            let first = try await kept.hear()
            #expect(first.hasPrefix("HTTP/1.1 200 OK") && first.contains("Server: slipway") && first.contains(" GMT\r\n"), "\(first)")
            try slow.ask("/slow")
            let silent = try Client(port: port)
            // Answered by the same server, so those before it were accepted too.
            let last = try Client(port: port)
            try last.ask("/")
            #expect(try await last.hear().contains("well"))
            await end()
            // It goes on asking until it is told that this was the last answer.
            var answer = ""
            repeat {
                try silent.ask("/")
                answer = try await silent.hear()
                #expect(answer.contains("200 OK") && answer.contains("well"), "\(answer)")
            } while answer.contains("200 OK") && !answer.lowercased().contains("connection: close")
            #expect(try await silent.hear().isEmpty)
            repeat {
                try kept.ask("/")
                answer = try await kept.hear()
            } while answer.contains("200 OK") && !answer.lowercased().contains("connection: close")
            #expect(answer.lowercased().contains("connection: close"))
            later = try Client(port: port)
            try later?.ask("/")
            open.finish()
            #expect(try await slow.hear("none").contains("slow\r\n"))
            for client in [kept, slow, silent, last] { close(client.socket) }
        }
        // Nobody has accepted it; whoever comes next does.
        try await serve(socket, router) { _ in
            let answer = try await later?.hear() ?? "nobody"
            #expect(answer.contains("well"))
            if let later { close(later.socket) }
        }
    }

    @Test func aConnectionOnWhichNothingHappensIsClosed() async throws {
        let (socket, port) = try listeningSocket()
        defer { close(socket) }
        let router = Router(context: WebContext.self)
        router.get("/") { _, _ in "well\r\n\r\n\r\n" }
        let client = try Client(port: port)
        defer { close(client.socket) }
        try await serve(socket, router, quiet: .milliseconds(10)) { end in
            try client.ask("/")
            #expect(try await client.hear().contains("well"))
            await end()
            #expect(try await client.hear().isEmpty)
        }
    }

    @Test func aRequestThatDoesNotEndIsCutOff() async throws {
        let (socket, port) = try listeningSocket()
        defer { close(socket) }
        let router = Router(context: WebContext.self)
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        router.get("/never") { _, _ in
            begin.finish()
            try await Task.sleep(for: .seconds(3600))
            return "never"
        }
        let client = try Client(port: port)
        defer { close(client.socket) }
        try await serve(socket, router, patience: .milliseconds(100)) { end in
            try client.ask("/never")
            for await _ in begun {}
            await end()
            #expect(try await client.hear().isEmpty)
        }
    }

    @Test func datesAreWrittenAsHTTPDoes() {
        var second: time_t = 784_111_777
        var parts = tm()
        gmtime_r(&second, &parts)
        #expect(HTTPDate.text(parts) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate().now.hasSuffix(" GMT"))
    }
}
