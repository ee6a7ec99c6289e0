import NIOCore
import NIOPosix

/// Forwards connections to `upstream` and cuts some of them after that many bytes in one direction.
func cutting(
    _ upstream: Int, after limits: Locked<[Int]>, _ body: @escaping @Sendable (Int) async throws -> Void
) async throws {
    let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .bind(host: "127.0.0.1", port: 0) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
    let port = server.channel.localAddress?.port ?? 0
    try await withThrowingDiscardingTaskGroup { group in
        group.addTask {
            try? await server.executeThenClose { connections in
                try await withThrowingDiscardingTaskGroup { group in
                    for try await connection in connections {
                        let limit = limits.with { $0.isEmpty ? Int.max : $0.removeFirst() }
                        group.addTask { try? await forward(connection, to: upstream, limit: limit) }
                    }
                }
            }
        }
        try await body(port)
        group.cancelAll()
    }
}

private struct Cut: Error {}

private func forward(_ near: NIOAsyncChannel<ByteBuffer, ByteBuffer>, to upstream: Int, limit: Int) async throws {
    let far = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .connect(host: "127.0.0.1", port: upstream) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
    try await near.executeThenClose { nearIn, nearOut in
        try await far.executeThenClose { farIn, farOut in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (source, sink) in [(nearIn, farOut), (farIn, nearOut)] {
                    group.addTask {
                        var passed = 0
                        for try await buffer in source {
                            passed += buffer.readableBytes
                            if passed > limit { throw Cut() }
                            try await sink.write(buffer)
                        }
                        throw Cut()
                    }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }
}
