import ArgumentParser
import AsyncHTTPClient
import ContainerRuntime
import Deployer
import Foundation
import StateStore
import Synchronization
import SystemPackage
import UnixSignals

struct InstanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "instance", abstract: "What systemd's units call for instances; see 'units' of targets.", subcommands: [Run.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "See that an instance runs, and wait until it ends.",
            discussion: """
                Example: slipway instance run shop-prod-1a2b3c4d-0 --data /var/lib/slipway

                It needs neither server nor store. An instance that has ended is begun anew, at the address it had. Exit status: that of the \
                instance, 1 when that is 0; and 0 when the instance is not wanted any more, or when SIGTERM has stopped it.
                """)
        @Argument(help: "The instance.") var id: String
        @Option(help: "The data directory.") var data: String = ServerSettings.defaultData

        func run() async throws {
            let path = FilePath(URL(fileURLWithPath: data).standardizedFileURL.path)
            let instance = KeptInstanceRun(id, data: path, sealing: Sealing(try DataFolder.existingSecrets(in: path)))
            let end = try await untilStopped({ try await instance.stop(grace: .seconds(10)) }) { try await instance.run() }
            guard case .exited(let status)? = end else { return }
            let words = status.outOfMemory ? "ran out of memory" : status == .lost ? "is gone" : "exited with code \(status.code)"
            writeError("slipway: instance \(id) \(words)")
            throw ExitCode((1...255).contains(status.code) ? status.code : Failure.failed)
        }
    }
}

struct RouterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "router", abstract: "What systemd's unit calls for the router; see 'units' of targets.", subcommands: [Run.self])

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "See that the router runs, with the routes of last time, and wait until it ends.",
            discussion: """
                Example: slipway router run --data /var/lib/slipway

                It needs neither server nor store. Exit status: 1 when the router has ended; 0 when it is not wanted any more, or when \
                SIGTERM has stopped it.
                """)
        @Option(help: "The data directory.") var data: String = ServerSettings.defaultData

        func run() async throws {
            let units = InstanceUnits.folder(in: FilePath(URL(fileURLWithPath: data).standardizedFileURL.path))
            guard let kept = try KeptRouter.load(from: units) else { return }
            let client = ServerConnections.makeProbeClient()
            let result: Result<Bool?, any Error>
            do {
                let router = try RouterKind(setting: kept.kind)
                    .makeRouter(folder: kept.folder, settings: kept.settings, probe: HTTPClientProbe(client: client))
                let isOver = try await untilStopped({ if try KeptRouter.load(from: units) != nil { try await router.shutdown() } }) {
                    try await router.start()
                    while try KeptRouter.load(from: units) == kept {
                        guard router.isRunning else { return false }
                        try await Task.sleep(for: .seconds(1))
                    }
                    return try KeptRouter.load(from: units) == nil
                }
                result = .success(isOver)
            } catch { result = .failure(error) }
            try await client.shutdown()
            guard try result.get() == false else { return }
            writeError("slipway: the router has ended, or is to be another one")
            throw ExitCode(Failure.failed)
        }
    }
}

private final class Flag: Sendable {
    let value = Mutex(false)
}

/// What `body` comes to; nil when SIGTERM or SIGINT came first and `stop` was done.
private func untilStopped<R: Sendable>(
    _ stop: @escaping @Sendable () async throws -> Void, _ body: @escaping @Sendable () async throws -> R
) async throws -> R? {
    let isStopping = Flag()
    return try await withThrowingTaskGroup(of: R?.self) { group in
        group.addTask {
            for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                isStopping.value.withLock { $0 = true }
                try await stop()
                return nil
            }
            throw CancellationError()
        }
        group.addTask { try await body() }
        defer { group.cancelAll() }
        // What ends because it is being stopped has not failed.
        while let result = try await group.next() {
            if result == nil || !isStopping.value.withLock({ $0 }) { return result }
        }
        return nil
    }
}
