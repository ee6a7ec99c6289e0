import BlockingQueue
public import ContainerRuntime
public import SystemPackage

/// What the unit of an instance does: makes sure that the instance runs, at the address it had, and waits for its end. It needs
/// neither server nor store.
public struct KeptInstanceRun: Sendable {
    public enum End: Hashable, Sendable {
        /// Retired, or never kept: nothing was started, and whatever runs is somebody else's.
        case notWanted
        case exited(ExitStatus)
    }

    private let id: String
    private let kept: KeptInstances
    private let queue = BlockingQueue(label: "units", width: 1)

    /// - Parameters:
    ///   - id: of the instance.
    ///   - data: the data directory.
    public init(_ id: String, data: FilePath, sealing: Sealing) {
        self.id = id
        kept = KeptInstances(folder: InstanceUnits.folder(in: data), sealing: sealing)
    }

    /// Returns when the instance has ended or is not wanted any more; the container goes on when the task is cancelled.
    public func run() async throws -> End {
        guard let (plan, runtime) = try await plan() else { return .notWanted }
        let (id, kept) = (id, kept)
        guard let seen = try await runtime.revive(plan.spec, if: { kept.isThere(id) }) else { return .notWanted }
        if let address = seen.address, address != plan.spec.address {
            try await runtime.alone(with: id) { _ in
                guard var now = try kept.load(id) else { return }
                now.address = address
                try kept.save(now, as: id)
            }
        }
        return try await withThrowingTaskGroup(of: End.self) { group in
            group.addTask {
                do { return .exited(try await runtime.waitForExit(id)) } catch let error as ContainerError where error.code == .notFound {
                    // Somebody begins it anew, unless it is retired.
                    return .exited(.lost)
                }
            }
            group.addTask {
                while try await isWanted() { try await Task.sleep(for: .seconds(1)) }
                return .notWanted
            }
            defer { group.cancelAll() }
            let end = try await group.next() ?? .notWanted
            return try await isWanted() ? end : .notWanted
        }
    }

    /// Stops the instance, SIGTERM and SIGKILL after `grace`; one that is not wanted any more is left alone.
    public func stop(grace: Duration) async throws {
        guard let (_, runtime) = try await plan() else { return }
        do { try await runtime.stop(id, grace: grace) } catch let error as ContainerError where error.code == .notFound {}
    }

    private func isWanted() async throws -> Bool { try await queue.run { [kept, id] _ in kept.isThere(id) } }

    private func plan() async throws -> (KeptInstance.Plan, ContainerRuntime)? {
        let plan: KeptInstance.Plan? = try await queue.run { [kept, id] _ in
            guard let file = try kept.load(id) else { return nil }
            var plan = try kept.plan(of: file, id)
            plan.spec.address = file.address
            return plan
        }
        return plan.map { ($0, ContainerRuntime(root: $0.containers, settings: $0.settings)) }
    }
}
