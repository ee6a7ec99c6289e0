import NIOCore
import NIOPosix

/// Forwards connections to `upstream` and cuts some of them after that many bytes in one direction.
func cutting(
    _ upstream: Int, after limits: Locked<[Int]>, _ body: @escaping @Sendable (Int) async throws -> Void
) async throws {
    try await listening(
        { connection in
            let limit = limits.with { $0.isEmpty ? Int.max : $0.removeFirst() }
            return { try await forward(connection, to: upstream, limit: limit) }
        }, body)
}

private struct Cut: Error {}

private func forward(_ near: NIOAsyncChannel<ByteBuffer, ByteBuffer>, to upstream: Int, limit: Int) async throws {
    // A channel must be closed whatever happens, so `near` first.
    try await near.executeThenClose { nearIn, nearOut in
        let far = try await connect(to: upstream)
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

/// A proxy that answers CONNECT and leads every connection to `upstream`; `asked` gets the heads of the requests.
func connectProxy(
    to upstream: Int, asked: Locked<[String]>, _ body: @escaping @Sendable (Int) async throws -> Void
) async throws {
    try await listening({ connection in { try await tunnel(connection, to: upstream, asked: asked) } }, body)
}

private func tunnel(_ near: NIOAsyncChannel<ByteBuffer, ByteBuffer>, to upstream: Int, asked: Locked<[String]>) async throws {
    try await near.executeThenClose { nearIn, nearOut in
        let far = try await connect(to: upstream)
        try await far.executeThenClose { farIn, farOut in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var head = ""
                    for try await buffer in nearIn {
                        if head.hasSuffix("\r\n\r\n") {
                            try await farOut.write(buffer)
                            continue
                        }
                        head += String(buffer: buffer)
                        guard head.hasSuffix("\r\n\r\n") else { continue }
                        asked.with { [head] in $0.append(head) }
                        try await nearOut.write(ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\n"))
                    }
                }
                group.addTask { for try await buffer in farIn { try await nearOut.write(buffer) } }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }
}
