import Foundation
import ImageStore
import OCIModel
import RegistryClient
import SystemPackage
import Testing

/// Uploads under everything that can go wrong. `make torture-upload` does 200 rounds; the usual tests a few.
@Suite(.serialized) struct TortureTests {
    private static let chunk: Int64 = 1 << 20
    private static let rounds = ProcessInfo.processInfo.environment["SLIPWAY_TORTURE_ROUNDS"].flatMap { Int($0) } ?? 5
    /// A run can be had again by its seed.
    private static let seed = ProcessInfo.processInfo.environment["SLIPWAY_TORTURE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)

    private static var binary: String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        return [Bundle.main.bundlePath + "/slipway", root + "/.build/debug/slipway"]
            .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "slipway"
    }

    /// One image of one large layer, and what is known of it.
    private struct Subject {
        let image: Digest
        let layer: Descriptor
        let name: RepositoryName

        init(_ round: Int, in store: ImageStore) async throws {
            image = try await store.makeImage(UInt8(truncatingIfNeeded: round), layers: [Int(6 * TortureTests.chunk) + 1000 * round + 17])
            layer = try OCIJSON.decode(Manifest.self, from: try await store.read(image)).layers[0]
            name = try repository("torture/round\(round)")
            try await store.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await store.tag(tag("v1"), as: image, in: name)
        }
    }

    private func arrived(_ subject: Subject, in store: ImageStore) async throws {
        #expect(try await store.resolve(tag("v1"), in: subject.name) == subject.image)
        #expect(try await store.isWhole(subject.image))
        try await store.verify(subject.layer.digest)
    }

    /// No request repeats more than a chunk of what had arrived, and all of them no more than one for each fault.
    private func isThrifty(_ tally: FaultyProxy.Tally, _ subject: Subject, kills: Int = 0) {
        #expect(tally.mostSentAgain <= Self.chunk, "seed \(Self.seed), \(subject.name): \(tally)")
        let allowed = subject.layer.size + Int64(tally.faults.count + kills) * Self.chunk
        #expect(tally.bytes <= allowed, "seed \(Self.seed), \(subject.name): \(tally)")
    }

    private func forget(_ subject: Subject, _ stores: ImageStore...) async throws {
        for store in stores { try await store.deleteBlob(subject.layer.digest) }
    }

    @Test func everyPushToOursCompletes() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            try await withOurRegistry(there) { port in
                let proxy = FaultyProxy(upstream: port, seed: Self.seed, chance: 0.35, large: 2000)
                try await proxy.serve { proxyPort in
                    var faults = 0
                    for round in 0..<Self.rounds {
                        let subject = try await Subject(round, in: here)
                        proxy.reset()
                        let settings = RegistrySettings(chunkSize: Self.chunk)
                        _ = try await client(proxyPort, attempts: 12, settings: settings)
                            .push(subject.image, from: here, to: subject.name, tag: tag("v1"))
                        try await arrived(subject, in: there)
                        isThrifty(proxy.tally, subject)
                        faults += proxy.tally.faults.count
                        try await forget(subject, here, there)
                    }
                    #expect(faults > Self.rounds, "the proxy did nothing")
                    print("upload torture: \(Self.rounds) pushes, \(faults) faults, every digest right (seed \(Self.seed))")
                }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/here/pushes").isEmpty)
        }
    }

    @Test func killedPushesGoOnWhereTheyWere() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            try await withOurRegistry(there) { port in
                let proxy = FaultyProxy(upstream: port, seed: Self.seed &+ 1, chance: 0.1, large: 2000)
                try await proxy.serve { proxyPort in
                    var random = SplitMix(state: Self.seed &+ 2)
                    let config = folder.path + "/slipway.yaml"
                    try "registries: {hosts: {\"127.0.0.1:\(proxyPort)\": {chunk_size: 1MiB}}}"
                        .write(toFile: config, atomically: true, encoding: .utf8)
                    var kills = 0
                    for round in 0..<max(2, Self.rounds / 2) {
                        let subject = try await Subject(1000 + round, in: here)
                        proxy.reset()
                        var killed = 0
                        var isDone = false
                        for run in 0..<40 where !isDone {
                            let sent = proxy.tally.bytes
                            // The first run always, later ones twice at most.
                            let killAt: Int64? = run < 3 ? sent + Int64.random(in: 1...subject.layer.size / 2, using: &random) : nil
                            let status = try await push(subject, from: here, to: proxyPort, config, proxy, killAt: killAt)
                            if status == 9 { killed += 1 }
                            isDone = status == 0
                        }
                        #expect(isDone, "seed \(Self.seed)")
                        try await arrived(subject, in: there)
                        isThrifty(proxy.tally, subject, kills: killed)
                        kills += killed
                        try await forget(subject, here, there)
                    }
                    #expect(kills > 0)
                    print("upload torture: \(max(2, Self.rounds / 2)) pushes, \(kills) kills, every digest right (seed \(Self.seed))")
                }
            }
        }
    }

    /// Runs the command; its exit status, or the number of the signal that ended it.
    private func push(
        _ subject: Subject, from store: ImageStore, to port: Int, _ config: String, _ proxy: FaultyProxy, killAt: Int64?
    ) async throws -> Int32 {
        guard FileManager.default.isExecutableFile(atPath: Self.binary) else {
            throw MissingPart(description: "\(Self.binary) is missing: swift build --product slipway")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.binary)
        process.arguments = [
            "image", "push", "\(subject.name):v1", "127.0.0.1:\(port)/\(subject.name):v1", "--data", store.root.string,
        ]
        process.environment = ["SLIPWAY_CONFIG": config, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"]
        (process.standardInput, process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice, FileHandle.nullDevice)
        return try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do {
                try process.run()
                let pid = process.processIdentifier
                if let killAt { proxy.begin(killAt: killAt) { kill(pid, SIGKILL) } } else { proxy.begin() }
            } catch { continuation.resume(throwing: error) }
        }
    }

    /// Docker's registry forgets an upload whose connection broke inside a request, so more than a chunk may travel again.
    @Test func everyPushToDockersCompletes() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            try await withDockerRegistry { port in
                let proxy = FaultyProxy(upstream: port, seed: Self.seed &+ 3, chance: 0.15, large: 2000)
                try await proxy.serve { proxyPort in
                    for round in 0..<max(3, Self.rounds / 4) {
                        let subject = try await Subject(2000 + round, in: here)
                        let settings = RegistrySettings(chunkSize: 3 * Self.chunk)
                        _ = try await client(proxyPort, attempts: 30, settings: settings)
                            .push(subject.image, from: here, to: subject.name, tag: tag("v1"))
                        let back = try ImageStore(root: FilePath(folder.path + "/back"))
                        #expect(try await client(port).pull(subject.name, .tag(tag("v1")), into: back, as: subject.name) == subject.image)
                        try await back.verify(subject.layer.digest)
                        try await forget(subject, here, back)
                    }
                }
            }
        }
    }
}
