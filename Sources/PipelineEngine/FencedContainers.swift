import ContainerRuntime
import Deployer
import Logging

/// The containers of this machine as the holder of a lease uses them: refused once another server has taken over, which is
/// `LeaseLost`, and patient with a process that was stopped in the middle of something.
struct FencedContainers {
    let runtime: ContainerRuntime
    /// Nil: for what belongs to nobody.
    let fence: Fence?
    let logger: Logger

    func observe(_ id: String) async throws -> ContainerObservation? { try await runtime.observe(id) }

    func start(_ spec: ContainerSpec) async throws -> ContainerObservation {
        try await untilFree { try await runtime.start(spec, fence: fence) }
    }

    func stop(_ id: String, grace: Duration) async throws {
        try await untilFree { try await runtime.stop(id, grace: grace, fence: fence) }
    }

    func remove(_ id: String) async throws { try await untilFree { try await runtime.remove(id, fence: fence) } }

    /// Runs `body`, a short change of the holder's files, while nobody else can take over.
    func acting<T: Sendable>(_ body: @Sendable () async throws -> T) async throws -> T {
        try await untilFree { try await runtime.acting(as: fence, body) }
    }

    /// Makes this holder the only one that may act.
    func takeOver() async throws {
        guard let fence else { return }
        try await untilFree { try await runtime.fence(fence) }
    }

    private func untilFree<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        try await PipelineEngine.untilFree(logger, body)
    }
}

extension PipelineEngine {
    func untilFree<T: Sendable>(_ body: () async throws -> T) async throws -> T { try await Self.untilFree(logger, body) }

    /// Repeats what another process is in the middle of.
    ///
    /// - Throws: ``LeaseLost`` when another server has taken over.
    static func untilFree<T: Sendable>(_ logger: Logger, _ body: () async throws -> T) async throws -> T {
        var isSaid = false
        while true {
            do { return try await body() } catch {
                switch ((error as? ContainerError)?.code, (error as? DeployerError)?.code) {
                case (.fenced, _), (_, .staleHolder): throw LeaseLost()
                case (.busy, _), (_, .busy):
                    if !isSaid { logger.warning("\(error)") }
                    isSaid = true
                    try await Task.sleep(for: .seconds(1))
                default: throw error
                }
            }
        }
    }

    /// The containers as the present task may use them.
    var containers: FencedContainers {
        FencedContainers(runtime: parts.runtime, fence: HeldLease.current?.fence, logger: logger)
    }

    /// The owner of a run's containers and files, see `Fence`.
    static func owner(ofRun run: Int64) -> String { "run-\(run)" }
}
