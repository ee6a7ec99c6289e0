import Foundation
import FreePort
import Subprocess
import SystemPackage
import Testing

@testable import Deployer

/// HTTPS through real routers. Needs openssl and python3.
@Suite(.serialized) struct TLSTests {
    @Test(arguments: RouterUnderTest.Kind.allCases)
    func certificatesAreChosenRenewedAndNeverLost(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        let secure = try freePort()
        try await withServers([("shop", "127.0.0.1")], port: backend) { () async throws -> Void in
            try await withTemporaryFolder { folder in
                let tls = RouterTLS(certificates: folder, listenPort: secure, redirect: true)
                try await withRouter(kind, tls: tls) { router in
                    let bench = TLSBench(folder: folder, port: secure)
                    for (name, host) in [("shop", "shop.localhost"), ("api", "api.example.com"), ("plain", "plain.localhost")] {
                        let upstream = Upstream(address: "127.0.0.1", port: backend)
                        try await router.put(Route(key: "shop/\(name)", host: host, upstreams: [upstream], deployment: name))
                    }
                    // Nothing there yet: HTTP goes on as ever.
                    #expect(try await router.router.renewCertificates().count == 3)
                    #expect(try await router.get("shop.localhost") == (200, "shop"))

                    try await bench.make("shop.localhost")
                    try await bench.make("*.example.com")
                    #expect(
                        try await router.renew() == [
                            "plain.localhost has no certificate: HTTPS refuses it (put plain.localhost.pem and plain.localhost.key into \(folder))"
                        ])
                    let first = try await bench.ask("shop.localhost")
                    #expect(first.body == "shop" && first.names == ["shop.localhost"], "\(first)")
                    #expect(try await bench.ask("api.example.com").names == ["*.example.com"])
                    #expect(try await bench.ask("plain.localhost").body == nil)
                    #expect(try await bench.ask("shop.localhost", most: "TLSv1_1").body == nil)
                    #expect(try await bench.ask("shop.localhost", most: "TLSv1_2").body == "shop")
                    #expect(try await bench.ask("shop.localhost", path: "/echo").body?.lowercased().contains("x-forwarded-proto: https") == true)
                    // By HTTP it is sent there, and what has no certificate is not.
                    #expect(try await bench.location(router.port, "shop.localhost", "/a?b=c") == "308 https://shop.localhost:\(secure)/a?b=c")
                    #expect(try await router.get("plain.localhost") == (200, "shop"))

                    // Renewed: another one, while somebody loads.
                    try await bench.make("shop.localhost")
                    async let load = bench.load("shop.localhost", 200)
                    #expect(try await router.renew().count == 1)
                    #expect(try await load == 0)
                    let second = try await bench.ask("shop.localhost")
                    #expect(second.body == "shop" && second.serial != first.serial && second.serial != nil)
                    let generation = try await router.router.generation()
                    _ = try await router.renew()
                    #expect(try await router.router.generation() == generation)

                    // What cannot be used is told, and what was in force stays.
                    try await bench.make("shop.localhost", key: false)
                    #expect(
                        try await router.renew().first?.hasPrefix(
                            "\(folder)/shop.localhost.key is not the key of shop.localhost.pem; the one before stays") == true)
                    try bench.write("shop.localhost.pem", "nonsense")
                    #expect(try await router.renew().first?.contains("shop.localhost.pem holds no certificate in PEM") == true)
                    try bench.remove("shop.localhost.pem")
                    #expect(try await router.renew().first?.contains("shop.localhost.pem is missing; the one before stays in force") == true)
                    try await bench.make("shop.localhost", names: "other.localhost")
                    #expect(try await router.renew().first?.contains("shop.localhost.pem is for other names than shop.localhost") == true)
                    #expect(try await bench.ask("shop.localhost").serial == second.serial)
                    #expect(try await router.router.generation() == generation)

                    // Of older ones no more than one is kept.
                    #expect(try FileManager.default.contentsOfDirectory(atPath: router.folder.appending("tls").string).count <= 2)

                    // Both files gone: no HTTPS for the host any more.
                    for ending in ["pem", "key"] { try bench.remove("shop.localhost.\(ending)") }
                    #expect(try await router.renew().count == 2)
                    #expect(try await bench.ask("shop.localhost").body == nil)
                    #expect(try await bench.ask("api.example.com").body == "shop")
                    #expect(try await router.get("shop.localhost") == (200, "shop"))
                }
            }
        }
    }

    @Test func whatHasExpiredIsNotUsed() async throws {
        try await withTemporaryFolder { folder in
            try await TLSBench(folder: folder, port: 0).make("shop.localhost")
            let today = Int(Date().timeIntervalSince1970)
            let fresh = try CertificateFolder(path: folder, now: today).read { _ in nil }
            #expect(fresh.usable.keys.sorted() == ["shop.localhost"] && fresh.problems.isEmpty)
            let late = try CertificateFolder(path: folder, now: today + 31 * 86_400).read { _ in nil }
            #expect(late.usable.isEmpty)
            #expect(late.problems == ["\(folder)/shop.localhost.pem has expired; shop.localhost has no HTTPS (renew it)"])
            // The one before may have expired too: that is better than none.
            let kept = try CertificateFolder(path: folder, now: today + 31 * 86_400).read { _ in [1] }
            #expect(kept.usable == ["shop.localhost": [1]])
            #expect(throws: DeployerError.self) { try CertificateFolder(path: folder.appending("none"), now: today).read { _ in nil } }
        }
    }

    @Test(arguments: RouterUnderTest.Kind.allCases)
    func anAddressInUseChangesNothing(kind: RouterUnderTest.Kind) async throws {
        let backend = try freePort()
        try await withServers([("shop", "127.0.0.1")], port: backend) { () async throws -> Void in
            try await withTemporaryFolder { folder in
                // The servers listen there.
                try await withRouter(kind, tls: RouterTLS(certificates: folder, listenPort: backend)) { router in
                    let upstream = Upstream(address: "127.0.0.1", port: backend)
                    try await router.put(Route(key: "a/b", host: "shop.localhost", upstreams: [upstream], deployment: "d"))
                    await #expect(throws: DeployerError.self) { try await router.router.renewCertificates() }
                    #expect(try await router.get("shop.localhost") == (200, "shop"))
                }
            }
        }
    }
}

/// Certificates in a folder, and clients that see them.
private struct TLSBench: Sendable {
    let folder: FilePath
    let port: Int

    /// Certificate and key of a host, signed by itself; without a new key they do not fit.
    func make(_ name: String, names: String? = nil, key: Bool = true) async throws {
        let place = key ? folder.appending("\(name).key").string : folder.appending("unused").string
        let result = try await Subprocess.run(
            .name("openssl"),
            arguments: [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", place, "-out",
                folder.appending("\(name).pem").string, "-days", "30", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:\(names ?? name)",
            ], output: .discarded, error: .string(limit: 4096))
        #expect(result.terminationStatus.isSuccess, "\(result.standardError)")
    }

    func write(_ file: String, _ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: folder.appending(file).string)) }
    func remove(_ file: String) throws { try FileManager.default.removeItem(atPath: folder.appending(file).string) }

    struct Seen: Decodable {
        var body: String?
        var names: [String]?
        var serial: String?
    }

    /// What a client sees that trusts anybody; no body when there is no handshake.
    func ask(_ host: String, path: String = "/", most: String = "MAXIMUM_SUPPORTED") async throws -> Seen {
        let script = """
            import sys, ssl, socket, json, subprocess, re, warnings
            warnings.simplefilter("ignore")
            port, host, path, most = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if most == "TLSv1_1": context.set_ciphers("ALL:@SECLEVEL=0"); context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion[most]
            seen = {}
            try:
                with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 60), server_hostname=host) as stream:
                    pem = ssl.DER_cert_to_PEM_cert(stream.getpeercert(True))
                    stream.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nConnection: close\\r\\n\\r\\n".encode())
                    data = b""
                    while more := stream.recv(65536): data += more
                    text = subprocess.run(["openssl", "x509", "-noout", "-serial", "-ext", "subjectAltName"], input=pem.encode(), capture_output=True).stdout.decode()
                    seen = {"body": data.split(b"\\r\\n\\r\\n", 1)[1].decode(), "names": re.findall("DNS:([^,\\s]+)", text), "serial": text.split("\\n")[0]}
            except (ssl.SSLError, ConnectionError): pass
            print(json.dumps(seen))
            """
        let result = try await Subprocess.run(
            .name("python3"), arguments: ["-c", script, "\(port)", host, path, most], output: .string(limit: 64 << 10), error: .discarded)
        return try JSONDecoder().decode(Seen.self, from: Data(result.standardOutput.utf8))
    }

    /// How many of so many requests over kept connections failed.
    func load(_ host: String, _ count: Int) async throws -> Int {
        let script = """
            import sys, ssl, time, http.client
            port, host, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
            context = ssl._create_unverified_context()
            class Connection(http.client.HTTPSConnection):
                def connect(self):
                    http.client.HTTPConnection.connect(self)
                    self.sock = context.wrap_socket(self.sock, server_hostname=host)
            failed, connection = 0, None
            for n in range(count):
                try:
                    if connection is None: connection = Connection("127.0.0.1", port, timeout=60)
                    connection.request("GET", "/", headers={"Host": host})
                    answer = connection.getresponse()
                    if answer.read() != b"shop": failed += 1
                    if answer.will_close: connection.close(); connection = None
                except Exception: failed += 1; connection = None
                time.sleep(0.01)
            print(failed)
            """
        let result = try await Subprocess.run(
            .name("python3"), arguments: ["-c", script, "\(port)", host, "\(count)"], output: .string(limit: 4096), error: .discarded)
        return Int(result.standardOutput.filter(\.isNumber)) ?? -1
    }

    func location(_ port: Int, _ host: String, _ path: String) async throws -> String {
        let result = try await Subprocess.run(
            .name("curl"),
            arguments: ["-s", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "-H", "Host: \(host)", "http://127.0.0.1:\(port)\(path)"],
            output: .string(limit: 4096), error: .discarded)
        return result.standardOutput
    }
}

extension RouterUnderTest {
    /// Returns when what is in the folder is what answers.
    fileprivate func renew() async throws -> [String] {
        let problems = try await router.renewCertificates()
        try await router.confirm(try await router.generation())
        return problems
    }
}

extension Router {
    fileprivate func generation() async throws -> RouterGeneration {
        guard let router = self as? any DaemonRouter else { throw Errno.notSupported }
        return try await router.currentGeneration()
    }
}
