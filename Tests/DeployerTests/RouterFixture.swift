import DeliveryModel
import Foundation
import FreePort
import Subprocess
import SystemPackage
import Testing

@testable import Deployer

/// A router that is tested, with what it shows to its tests only.
struct RouterUnderTest: Sendable {
    enum Kind: CaseIterable { case nginx, haproxy }

    let router: any Router
    let folder: FilePath
    let port: Int
    let master: @Sendable () -> Int32?
    let workers: @Sendable () -> [Int32]
    /// Another value on the same folder, as another server or a restarted one has it.
    let again: @Sendable () throws -> any Router

    func get(_ host: String, _ path: String = "/") async throws -> (Int, String) {
        let answer = try await testProbe.get(
            ProbeQuestion(address: "127.0.0.1", port: port, path: path, host: host, timeout: .seconds(60)))
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    func put(_ route: Route) async throws {
        try await router.confirm(try await router.apply(route, by: RouteFence(deployment: route.deployment, number: 1, epoch: 1)))
    }

    /// Asks over several connections; how often each body came back, and how many requests failed as `""`.
    func ask(_ count: Int, _ host: String, path: String = "/", headers: [String: String] = [:]) async throws -> [String: Int] {
        let script = """
            import sys, json, threading, http.client, collections
            port, count, host, path, headers = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], json.loads(sys.argv[5])
            headers["Host"] = host
            seen, lock = collections.Counter(), threading.Lock()
            def work(number):
                connection = None
                for n in range(count // 4):
                    try:
                        if connection is None: connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                        connection.request("GET", path, headers=headers)
                        answer = connection.getresponse()
                        body = answer.read().decode()
                        if answer.status != 200: body = str(answer.status)
                        if answer.will_close or n % 50 == 49: connection.close(); connection = None
                    except Exception: body, connection = "", None
                    with lock: seen[body] += 1
            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            for t in threads: t.start()
            for t in threads: t.join()
            print(json.dumps(seen))
            """
        let result = try await Subprocess.run(
            .name("python3"),
            arguments: ["-c", script, "\(port)", "\(count)", host, path, String(decoding: JSONEncoder().encode(headers), as: UTF8.self)],
            output: .string(limit: 64 << 10), error: .discarded)
        return try JSONDecoder().decode([String: Int].self, from: Data(result.standardOutput.utf8))
    }
}

func withRouter<R: Sendable>(
    _ kind: RouterUnderTest.Kind, workerShutdown: Duration = .seconds(5), logLimit: Int64 = 128 << 20, tls: RouterTLS? = nil,
    _ body: @Sendable (RouterUnderTest) async throws -> R
) async throws -> R {
    try await withTemporaryFolder { folder in
        let port = try freePort()
        switch kind {
        case .haproxy:
            let settings = RouterSettings(listenPort: port, program: "haproxy", workerShutdown: workerShutdown, logLimit: logLimit, tls: tls)
            let router = try HAProxyRouter(folder: folder.appending("router"), settings: settings, probe: testProbe)
            let process = router.process
            let tested = RouterUnderTest(
                router: router, folder: folder.appending("router"), port: port, master: { process.master() },
                workers: { process.master().map { process.workers(of: $0).map(\.pid) } ?? [] },
                again: { try HAProxyRouter(folder: folder.appending("router"), settings: settings, probe: testProbe) })
            return try await tested.run(body) { try await router.shutdown() }
        case .nginx:
            let settings = NginxSettings(listenPort: port, workerShutdown: workerShutdown, logLimit: logLimit, tls: tls)
            let router = try NginxRouter(folder: folder.appending("router"), settings: settings, probe: testProbe)
            let process = router.process
            let tested = RouterUnderTest(
                router: router, folder: router.folder, port: port, master: { process.master() },
                workers: { process.master().map { process.workers(of: $0).map(\.pid) } ?? [] },
                again: { try NginxRouter(folder: router.folder, settings: settings, probe: testProbe) })
            return try await tested.run(body) { try await router.shutdown() }
        }
    }
}

extension RouterUnderTest {
    fileprivate func run<R: Sendable>(
        _ body: @Sendable (RouterUnderTest) async throws -> R, shutdown: () async throws -> Void
    ) async throws -> R {
        let result: Result<R, any Error>
        do { result = .success(try await body(self)) } catch { result = .failure(error) }
        try await shutdown()
        let gone = try await eventually { master() == nil }
        #expect(gone)
        return try result.get()
    }
}
