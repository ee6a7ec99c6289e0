import Foundation
import PostgresCluster
import Testing

extension EndToEnd {
    @Test("Three servers take over one after the other: no request fails, no line of a log is lost, nothing that runs is touched")
    func handOver() async throws {
        let steps = """
              - name: test
                image: library/busybox:1
                commands: ["i=0; while test $i -lt 160; do i=$((i+1)); echo line $i; usleep 50000; done; \(SampleRepository.wait)", echo mark >> marks]
              - name: package
                image: library/busybox:1
                depends_on: [test]
                commands: ["echo marks: $(wc -l < marks)", mkdir -p dist, cp -R www dist/]
            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            try await server.deliverToDev(repository.commit(version: "1"), of: project)
            let instances = server.instances
            let live = instances.map { text(server.data, "containers/\($0)/process.json") }
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            try await server.push(commit, to: project)
            let run = try await eventually("the step has begun") {
                guard let run = try await server.runs().first(where: { $0.commit == commit }) else { return nil as Int? }
                return try await server.log(of: run.id).contains("[test] line 1") ? run.id : nil
            }
            let step = text(server.data, "containers/run-\(run)-test/process.json")

            let (port, router, stop) = ("\(server.port)", "\(server.routerPort)", server.folder.appendingPathComponent("stop").path)
            let client = ["SLIPWAY_URL": server.url, "SLIPWAY_TOKEN": server.token]
            async let logs = command(ServerFixture.binary, ["logs", "\(run)", "--step", "test", "-f"], environment: client)
            async let stream = python(Self.follower, port, "\(run)")
            async let load = python(Self.requests, port, router, stop)
            for _ in 0..<3 { #expect(try await server.replace() == 0) }
            #expect(text(server.data, "containers/run-\(run)-test/process.json") == step)
            try server.letGo(run)
            try Data().write(to: URL(fileURLWithPath: stop))
            let outcomes = try await load.split(separator: "\n").map(String.init)
            let (good, failures) = (Int(outcomes.first ?? "") ?? 0, Array(outcomes.dropFirst()))
            #expect(failures.isEmpty, "\(failures)")
            #expect(good > 300)

            let finished = try await server.finishedRun(of: commit, seconds: 40)
            #expect(finished.state == "succeeded", "\(finished.error ?? "")")
            let expected = (1...160).map { "line \($0)" }
            let printed = try await logs.output.split(separator: "\n").filter { $0.hasPrefix("[test] line ") }.map { String($0.dropFirst(7)) }
            #expect(printed == expected)
            let streamed = try await stream.split(separator: "\n").map(String.init)
            #expect(streamed.filter { $0.hasPrefix("line ") } == expected)
            #expect(streamed.contains("failures 0") && !streamed.contains("connections 1"), "\(streamed.suffix(2))")
            #expect(try await server.log(of: run).contains("[package] marks: 1"))
            try await server.live(#require(finished.digest), in: "dev")
            #expect(live.allSatisfy { !$0.isEmpty })
            // The first release served through all of it.
            let left = instances.filter { !server.instances.contains($0) }
            #expect(left == instances)
        }
    }

    @Test("With PostgreSQL the new server serves while the old one still ends")
    func handOverOnPostgres() async throws {
        let url = try await PostgresCluster.shared().newDatabase()
        try await ServerFixture.with(store: url) { server in
            let (port, stop) = ("\(server.port)", server.folder.appendingPathComponent("stop").path)
            async let load = python(Self.requests, port, port, stop)
            for _ in 0..<3 { #expect(try await server.replace() == 0) }
            try Data().write(to: URL(fileURLWithPath: stop))
            let outcomes = try await load.split(separator: "\n").map(String.init)
            #expect(outcomes.count == 1 && Int(outcomes.first ?? "") ?? 0 > 100, "\(outcomes)")
        }
    }

    @Test("A server that cannot take over leaves the one that is there alone; without one it starts as usual")
    func refusedHandOver() async throws {
        try await ServerFixture.with { server in
            func serve(_ options: [String], _ settings: [String: String] = [:]) async throws -> Outcome {
                try await command(ServerFixture.binary, server.arguments + options, environment: settings)
            }
            let cases = [
                (try await serve([]), "another server uses the data directory", "--replace"),
                (try await serve(["--replace"], ["SLIPWAY_RUNTIME": "/nowhere/runc"]), "/nowhere/runc: ", "apt-get install"),
                (try await serve(["--replace", "--listen", "0.0.0.0:\(server.port)"]), "the server that is there cannot be replaced", "SIGTERM"),
            ]
            for (outcome, message, hint) in cases {
                #expect(outcome.status != 0)
                #expect(outcome.errors.contains("slipway: \(message)") && outcome.errors.contains(hint), "\(outcome.errors)")
            }
            #expect(try await http("GET", "\(server.url)/readyz").status == 200)
            let socket = try FileManager.default.attributesOfItem(atPath: server.data.path + "/handover-\(server.port).sock")
            #expect(socket[.posixPermissions] as? Int == 0o600)

            // One that was killed leaves its socket behind.
            try await server.kill9()
            try await server.start(options: ["--replace"])
            #expect(try await server.stop() == 0)
            #expect(!FileManager.default.fileExists(atPath: server.data.path + "/handover-\(server.port).sock"))
            try await server.start(options: ["--replace"])
        }
    }

    @Test("A socket that systemd has opened is used; who comes while no server is there waits")
    func socketActivation() async throws {
        try await ServerFixture.with { server in
            try await server.stop()
            let socket = try listeningSocket(server.port)
            defer { close(socket) }
            let first = try spawn(server, socket)
            #expect(try await http("GET", "\(server.url)/healthz").status == 200)
            #expect(try await end(first) == 0)
            let address = "\(server.url)/healthz"
            async let waiting = http("GET", address)
            try await Task.sleep(for: .milliseconds(200))
            let second = try spawn(server, socket)
            #expect(try await waiting.status == 200)
            // The second server's is taken over like any other.
            try await server.start(options: ["--replace"])
            try await until("the old server ends") { waitpid(second, nil, WNOHANG) == second }
        }
    }

    /// As systemd does (sd_listen_fds(3)): descriptor 3, and the process id that the program will have.
    private func spawn(_ server: ServerFixture, _ socket: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, socket, 3)
        let script = #"exec 2>>"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@""#
        let log = server.folder.appendingPathComponent("server.log").path
        let arguments = ["/bin/sh", "-c", script, log, ServerFixture.binary] + server.arguments
        var argv = arguments.map { strdup($0) } + [nil]
        var environment = ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + environment { free(pointer) } }
        var pid = pid_t()
        guard posix_spawn(&pid, "/bin/sh", &actions, nil, &argv, &environment) == 0 else { throw Failed("cannot start the server") }
        return pid
    }

    private func end(_ pid: pid_t) async throws -> Int32 {
        kill(pid, SIGTERM)
        var status: Int32 = -1
        try await until("the server ends") { waitpid(pid, &status, WNOHANG) == pid }
        return status
    }

    private func listeningSocket(_ port: Int) throws -> Int32 {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard bound == 0, listen(socket, 64) == 0 else { throw Failed("cannot listen on \(port)") }
        return socket
    }

    private func python(_ script: String, _ arguments: String...) async throws -> String {
        let outcome = try await command("/usr/bin/env", ["python3", "-c", script] + arguments)
        guard outcome.status == 0 else { throw Failed("python3: \(outcome.errors)") }
        return outcome.output
    }

    /// Short requests until the file appears, at most for 40 s: over new connections, over kept ones, and to the service behind the router.
    private static let requests =
        """
        import sys, os, time, threading, http.client
        port, router, stop = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        good, failures, end = [0] * 6, [], time.time() + 40
        def work(number):
            connection = None
            while not os.path.exists(stop) and time.time() < end:
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", router if number == 0 else port, timeout=20)
                    path = ["/", "/healthz", "/api/v1/projects", "/readyz", "/healthz", "/"][number]
                    headers = {"Host": "dev.localhost"} if number == 0 else {}
                    if number < 5: headers["Connection"] = "close"
                    connection.request("GET", path, headers=headers)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 200: good[number] += 1
                    else: failures.append("%d: %d" % (number, answer.status))
                    if number < 5 or answer.will_close: connection.close(); connection = None
                except Exception as error:
                    failures.append("%d: %r" % (number, error)); connection = None
        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(sum(good))
        for failure in failures: print(failure)
        """

    /// A log as a browser follows it: a stream that ends without its last event is asked for again, from the last id on.
    private static let follower =
        """
        import sys, json, html, time, http.client
        port, run = int(sys.argv[1]), sys.argv[2]
        last, over, connections, failures, limit = "0", False, 0, 0, time.time() + 60
        while not over and time.time() < limit:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("GET", "/runs/%s/events?step=test" % run, headers={"Last-Event-ID": last})
                answer = connection.getresponse()
                connections += 1
                event = ""
                for raw in answer:
                    line = raw.decode().rstrip("\\n")
                    if line.startswith("id: "): last = line[4:]
                    if line.startswith("event: "): event = line[7:]
                    if line.startswith("data: ") and event == "line": print(html.unescape(json.loads(line[6:])["html"]))
                    if event == "end": over = True
            except Exception as error:
                failures += 1
                print(repr(error))
                if failures > 20: over = True
        print("connections", connections)
        print("failures", failures)
        """
}
