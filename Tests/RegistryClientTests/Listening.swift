import NIOCore
import NIOPosix

typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

/// Listens on a free loopback port while `body` runs. `accept` is asked in the order in which connections come; what it
/// returns runs beside the others, and ends however it likes.
func listening(
    _ accept: @escaping @Sendable (Connection) -> @Sendable () async throws -> Void, _ body: @escaping @Sendable (Int) async throws -> Void
) async throws {
    let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .bind(host: "127.0.0.1", port: 0) { channel in
            channel.eventLoop.makeCompletedFuture { try Connection(wrappingChannelSynchronously: channel) }
        }
    let port = server.channel.localAddress?.port ?? 0
    try await server.executeThenClose { connections in
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask {
                let outcome = await Result { try await body(port) }
                // The loop below ends by itself then. A connection that nobody took over would end the process: those that are being
                // accepted come first.
                try await server.channel.setOption(.autoRead, value: false).get()
                try await Task.sleep(for: .milliseconds(500))
                try await server.channel.close()
                try outcome.get()
            }
            for try await connection in connections {
                let handle = accept(connection)
                group.addTask { try? await handle() }
            }
            group.cancelAll()
        }
    }
}

func connect(to port: Int) async throws -> Connection {
    try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture { try Connection(wrappingChannelSynchronously: channel) }
        }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
