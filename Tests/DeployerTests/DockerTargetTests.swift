import DockerDaemon
import Foundation
import FreePort
import ImageStore
import Logging
import OCIModel
import SystemPackage
import Testing

@testable import Deployer

/// What is particular to hosts that are asked by an API. Needs root, docker.io, openssl, curl and iproute2.
@Suite(.serialized) struct DockerTargetTests {
    @Test func addresses() throws {
        let local = try DockerHost(parsing: "unix:///var/run/docker.sock")
        #expect(local.endpoint == .unix(path: "/var/run/docker.sock") && local.address == nil && local.isLoopback)
        #expect(local.url("/v1.41/info", secure: false) == "http+unix://%2Fvar%2Frun%2Fdocker.sock/v1.41/info")
        let box = try DockerHost(parsing: "tcp://10.0.0.5:2376")
        #expect(box.endpoint == .tcp(host: "10.0.0.5", port: 2376) && box.address == "10.0.0.5" && !box.isLoopback)
        #expect(box.url("/_ping", secure: true) == "https://10.0.0.5:2376/_ping")
        #expect(try DockerHost(parsing: "tcp://[fd00::5]:2376").url("/", secure: false) == "http://[fd00::5]:2376/")
        #expect(try DockerHost(parsing: "tcp://box.example.org:2376?address=10.0.0.5").address == "10.0.0.5")
        #expect(try DockerHost(parsing: "unix:///run/box.sock?address=10.0.0.5").address == "10.0.0.5")
        for bad in [
            "", "/var/run/docker.sock", "unix://docker.sock", "tcp://box.example.org:2376", "tcp://10.0.0.5", "tcp://:2376",
            "tcp://10.0.0.5:99999", "tcp://10.0.0.5:2376?address=here", "tcp://10.0.0.5:2376?x=1", "tcp://a b:1",
        ] {
            #expect(throws: DeployerError.self, "\(bad)") { try DockerHost(parsing: bad) }
        }
    }

    @Test func versions() throws {
        let version = try #require(DockerVersion(parsing: "1.41"))
        #expect("\(version)" == "1.41" && version > DockerVersion(major: 1, minor: 9))
        for bad in ["", "1", "1.x", "1.2.3", "-1.2"] { #expect(DockerVersion(parsing: bad) == nil) }
    }

    @Test func onlyWhatBearsAllLabelsCounts() {
        let labels = ["slipway.server": "here", "slipway.fence": "d1"]
        #expect(DockerTarget.bears(labels, ["slipway.server=here", "slipway.fence"]) && DockerTarget.bears(labels, ["slipway.fence=d1"]))
        #expect(!DockerTarget.bears(labels, ["slipway.server=here", "slipway.fence=d2"]) && !DockerTarget.bears(nil, ["slipway.fence"]))
        #expect(!DockerTarget.bears(labels, ["slipway.image"]))
    }

    @Test func framesOfALog() {
        func frame(_ stream: UInt8, _ text: String) -> [UInt8] { [stream, 0, 0, 0, 0, 0, 0, UInt8(text.utf8.count)] + Array(text.utf8) }
        #expect(DockerLog.lines(frame(1, "one\ntw") + frame(2, "o\nthree\n"), last: 2) == ["two", "three"])
        #expect(DockerLog.lines(frame(1, "\n") + frame(1, "end"), last: 5) == ["", "end"])
        // Cut off, and lengths that promise more than there is.
        #expect(DockerLog.lines([1, 0, 0], last: 5).isEmpty)
        #expect(DockerLog.lines([1, 0, 0, 0, 255, 255, 255, 255, 65], last: 5) == ["A"])
        #expect(DockerLog.lines([], last: 5).isEmpty)
    }

    @Test func unknownTargetsAreNamed() throws {
        let targets: [String: any Target] = ["local": FakeTarget(), "box": FakeTarget()]
        try targets.require(["local", "box"])
        do {
            try targets.require(["local", "bx"])
            Issue.record("it was accepted")
        } catch {
            #expect(error.code == .unknownTarget)
            #expect(error.message == "there is no target 'bx' on this server; it has: box, local")
        }
    }

    /// Two machines: one is asked by its socket and publishes ports, the other by TCP with certificates.
    @Test func replicasAreSpreadAndAHostThatIsAwayHidesNoOther() async throws {
        try await withFolders { folder, store, image in
            let certificates = folder.appendingPathComponent("certificates")
            try await makeCertificates(certificates)
            let tlsPort = try freePort()
            try await withRegistry(store) { registry in
                try await DockerDaemon.with(folder.appendingPathComponent("a"), network: 2) { one in
                    try await DockerDaemon.with(folder.appendingPathComponent("b"), network: 3, tls: (tlsPort, certificates)) { two in
                        try await withDockerClient { client in
                            let files = FilePath(certificates.path)
                            let tls = try DockerTLS(
                                certificateAuthority: files.appending("ca.pem"), certificate: files.appending("cert.pem"),
                                key: files.appending("key.pem"))
                            let hosts = [
                                try DockerHost(parsing: "unix://\(one.socket)?address=127.0.0.1"),
                                try DockerHost(parsing: "tcp://127.0.0.1:\(tlsPort)"),
                            ]
                            let target = TargetBench.docker(hosts, tls: tls, registry, client)
                            let bench = TargetBench(
                                make: { target }, makeForeign: { _ in }, removeForeign: { _ in }, image: image)
                            let claim = Claim(deployment: "d1", epoch: 1)
                            try await target.admit(claim)
                            for replica in 0..<3 { try await target.start(bench.instance(replica: replica), by: claim) }
                            let seen = try await target.observe(deployment: "d1")
                            #expect(seen.map(\.replica) == [0, 1, 2])
                            for instance in seen {
                                #expect(instance.address == "127.0.0.1" && instance.port != 8080)
                                #expect(try await bench.answer(instance) == "hello\n")
                            }
                            #expect(try await names(one) == [bench.instance().id, bench.instance(replica: 2).id])
                            #expect(try await names(two) == [bench.instance(replica: 1).id])
                            // Without a certificate nobody is let in.
                            let stranger = TargetBench.docker([hosts[1]], registry, client)
                            await #expect(throws: DeployerError.self) { try await stranger.observe(deployment: "d1") }

                            try await two.stop()
                            #expect(try await target.observe(deployment: "d1").map(\.replica) == [0, 2])
                            #expect(try await target.deployments() == ["d1"])
                            do {
                                try await target.start(bench.instance(replica: 1), by: claim)
                                Issue.record("it was started on a host that is away")
                            } catch let error as DeployerError {
                                #expect(error.code == .targetUnreachable)
                                #expect(error.message.contains("tcp://127.0.0.1:\(tlsPort)"))
                            }
                            // A new holder comes while it is away, and is known there when it is back.
                            let next = Claim(deployment: "d1", epoch: 2)
                            try await target.admit(next)
                            try await two.start()
                            #expect(try await target.observe(deployment: "d1").map(\.replica) == [0, 1, 2])
                            try await target.stop(instance: bench.instance(replica: 1).id, grace: .zero, by: next)
                            try await target.start(bench.instance(replica: 1), by: next)
                            do {
                                try await target.stop(instance: bench.instance(replica: 1).id, grace: .zero, by: claim)
                                Issue.record("an old holder was let do it")
                            } catch let error as DeployerError {
                                #expect(error.code == .staleHolder)
                            }
                            try await two.stop()
                            do {
                                try await target.stop(deployment: "d1", grace: .zero, by: next)
                                Issue.record("nobody knows whether all are stopped")
                            } catch let error as DeployerError {
                                #expect(error.code == .targetUnreachable)
                            }
                            #expect(try await names(one).isEmpty)
                        }
                    }
                }
            }
        }
    }

    @Test func aHolderThatIsTakenOverInTheMiddleStartsNothing() async throws {
        try await withFolders { folder, store, image in
            try await withRegistry(store) { registry in
                try await DockerDaemon.with(folder.appendingPathComponent("d"), network: 4) { daemon in
                    try await withDockerClient { client in
                        let host = try DockerHost(parsing: "unix://\(daemon.socket)")
                        let new = TargetBench.docker([host], registry, client)
                        let bench = TargetBench(make: { new }, makeForeign: { _ in }, removeForeign: { _ in }, image: image)
                        let old = DockerTarget(
                            settings: .init(hosts: [host], owner: "here", settle: .milliseconds(500)), client: client,
                            logger: Logger(label: "test")
                        ) { _, _ in
                            // While the old one looks where the image is, it is taken over.
                            try await new.admit(Claim(deployment: "d1", epoch: 2))
                            return DockerImageSource(name: "127.0.0.1:\(registry)/shop/test")
                        }
                        try await old.admit(Claim(deployment: "d1", epoch: 1))
                        do {
                            try await old.start(bench.instance(), by: Claim(deployment: "d1", epoch: 1))
                            Issue.record("it was let do it")
                        } catch let error as DeployerError {
                            #expect(error.code == .staleHolder)
                        }
                        #expect(try await names(daemon).isEmpty)
                        #expect(try await new.claimed() == ["d1"])

                        // Killed between making and starting it.
                        let reference = "127.0.0.1:\(registry)/shop/test@\(image)"
                        let made =
                            #"{"Image":"\#(reference)","Cmd":["sleep","600"],"HostConfig":{},"#
                            + #""Labels":{"slipway.deployment":"d1","slipway.server":"here","slipway.replica":"0","slipway.port":"8080"}}"#
                        let id = bench.instance().id
                        try await daemon.ask("POST", "/containers/create?name=\(id)", made)
                        #expect(try await bench.state(new) == [.created])
                        try await new.start(bench.instance(), by: Claim(deployment: "d1", epoch: 2))
                        #expect(try await bench.state(new) == [.running])

                        // Images that nobody goes back to; not while a container is made of them.
                        try await new.removeImages(except: [])
                        #expect(try await daemon.ask("GET", "/images/json").contains(image.description))
                        try await new.stop(deployment: "d1", grace: .zero, by: Claim(deployment: "d1", epoch: 2))
                        try await new.removeImages(except: [image])
                        #expect(try await daemon.ask("GET", "/images/json").contains(image.description))
                        try await new.removeImages(except: [])
                        #expect(try await daemon.ask("GET", "/images/json") == "[]\n")
                        try await new.start(bench.instance(), by: Claim(deployment: "d1", epoch: 2))
                        #expect(try await bench.state(new) == [.running])

                        // An image that is nowhere.
                        var missing = bench.instance(replica: 2)
                        missing.image = Digest.sha256(Array("missing".utf8))
                        do {
                            try await new.start(missing, by: Claim(deployment: "d1", epoch: 2))
                            Issue.record("it was started without an image")
                        } catch let error as DeployerError {
                            #expect(error.code == .instanceFailed)
                            #expect(error.message.contains(missing.image.description) && error.message.contains(daemon.socket))
                        }
                        try await new.dismiss(deployment: "d1", by: nil)
                        #expect(try await new.claimed().isEmpty)
                        // A server with another data directory sees none of it.
                        let other = DockerTarget(
                            settings: .init(hosts: [host], owner: "elsewhere"), client: client, logger: Logger(label: "test")
                        ) { _, _ in DockerImageSource(name: "") }
                        #expect(try await other.deployments().isEmpty)
                        #expect(await other.check().map { (try? $0.result.get()) ?? "" } == ["Docker API 1.41"])
                    }
                }
            }
        }
    }

    private func names(_ daemon: DockerDaemon) async throws -> [String] {
        struct Listed: Decodable { var Names: [String] }
        let list = try await daemon.ask("GET", "/containers/json?all=1")
        return try JSONDecoder().decode([Listed].self, from: Data(list.utf8)).flatMap(\.Names).map { String($0.dropFirst()) }.sorted()
    }

    private func withFolders(_ body: (URL, ImageStore, Digest) async throws -> Void) async throws {
        let folder = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("dt-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try ImageStore(root: FilePath(folder.path).appending("store"))
        try await body(folder, store, try await TargetBench.makeImage(in: store, folder))
    }

    /// An authority, and one certificate of it for both sides.
    private func makeCertificates(_ folder: URL) async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (ca, key, request, certificate) = ("\(folder.path)/ca.pem", "\(folder.path)/key.pem", "\(folder.path)/request", "\(folder.path)/cert.pem")
        let openssl = "/usr/bin/openssl"
        try await DockerDaemon.run(
            openssl,
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "\(folder.path)/ca.key", "-out", ca, "-days", "2", "-subj", "/CN=test"])
        try await DockerDaemon.run(openssl, ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=localhost"])
        let names = "\(folder.path)/names"
        try "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n".write(toFile: names, atomically: true, encoding: .utf8)
        try await DockerDaemon.run(
            openssl,
            [
                "x509", "-req", "-in", request, "-CA", ca, "-CAkey", "\(folder.path)/ca.key", "-CAcreateserial", "-out", certificate, "-days", "2",
                "-extfile", names,
            ])
    }
}
