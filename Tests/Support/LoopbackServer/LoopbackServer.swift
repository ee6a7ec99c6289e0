public import Hummingbird
import Logging

/// Serves a router on a loopback port, or elsewhere, while `body` runs with the port.
public func serve<T: Sendable>(
    _ router: Router<BasicRequestContext>, at address: BindAddress = .hostname("127.0.0.1", port: 0),
    _ body: @escaping @Sendable (Int) async throws -> T
) async throws -> T {
    let (ports, report) = AsyncStream<Int>.makeStream()
    let app = Application(
        router: router, configuration: .init(address: address),
        onServerRunning: { report.yield($0.localAddress?.port ?? 0) },
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await app.run() }
        defer { group.cancelAll() }
        for await port in ports {
            let outcome: Result<T, any Error>
            do { outcome = .success(try await body(port)) } catch { outcome = .failure(error) }
            // SwiftNIO ends the process when a connection is being accepted while its server is cancelled.
            try? await Task.sleep(for: .milliseconds(300))
            return try outcome.get()
        }
        throw CancellationError()
    }
}
