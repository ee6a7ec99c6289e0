import BlockingQueue
public import ContainerRuntime
import Glibc
public import SystemPackage

/// Units of systemd by which the machine keeps instances and the router alive while no server is there.
///
/// What a unit needs is in the folder `units/` of the data directory, one file for each. As long as the file is there, and no longer, a
/// unit may start its instance: the file comes and goes while nobody else starts or removes the container, and by the claim of whoever
/// asks for it. Units themselves follow; one that is left over finds no file, and does nothing.
public struct InstanceUnits: Sendable {
    let runtime: ContainerRuntime
    let kept: KeptInstances
    private let systemd: Systemd
    private let settings: SystemdSettings
    private let queue = BlockingQueue(label: "units", width: 2)

    /// The folder of the files, in the data directory.
    public static func folder(in data: FilePath) -> FilePath { data.appending("units") }

    private var folder: FilePath { kept.folder }

    /// - Parameter runtime: whose containers the instances are.
    public init(settings: SystemdSettings, sealing: Sealing, runtime: ContainerRuntime) {
        self.settings = settings
        self.runtime = runtime
        systemd = Systemd(settings)
        kept = KeptInstances(folder: Self.folder(in: settings.data), sealing: sealing)
    }

    /// - Throws: when systemd is not the machine's init, or cannot be told anything.
    public static func check(_ settings: SystemdSettings) async throws { try await Systemd(settings).check() }

    /// To be called before anything is started: removes units that were on their way out, and keeps the router alive.
    ///
    /// - Parameter router: nil when there is none.
    public func begin(router: KeptRouter?) async throws {
        let wanted = try await queue.run { [kept] _ in kept.ids() }
        try await systemd.remove(try await systemd.subjects().filter { $0 != KeptRouter.name && !wanted.contains($0) })
        guard let router else { return try await removeRouter() }
        let unit = unit(KeptRouter.name, "The router of slipway", ["router", "run"])
        try await systemd.install(unit)
        try await queue.run { [folder] _ in try router.save(in: folder) }
        try await systemd.start(unit.subject)
    }

    /// The machine keeps nothing alive any more: whatever runs goes on, and is the server's alone.
    public func end() async throws {
        let hasFolder = try await queue.run { [folder] _ in AtomicFile.exists(folder) }
        guard hasFolder else { return }
        let ids = try await queue.run { [kept] _ in kept.ids() }
        try await retire(ids, by: nil)
        try await removeRouter()
        try await systemd.remove(try await systemd.subjects())
        _ = try await queue.run { [folder] _ in rmdir(folder.string) }
    }

    private func removeRouter() async throws {
        try await queue.run { [folder] _ in if AtomicFile.exists(folder) { try KeptRouter.remove(from: folder) } }
        try await systemd.remove([KeptRouter.name])
    }

    /// From now on the machine starts the instance when it has ended. Nothing happens when it is not there any more.
    func keep(_ spec: ContainerSpec, of deployment: String, by fence: Fence) async throws {
        let (runtime, kept) = (runtime, kept)
        let id = spec.id
        let unit = unit(ofInstance: id)
        let plan = try kept.seal(.init(spec: spec, containers: runtime.root, settings: runtime.settings))
        let isThere = try await runtime.acting(as: fence) {
            try await runtime.alone(with: id) { seen in
                guard let seen else { return false }
                let address = seen.address ?? kept.readable(id)?.address
                try kept.save(KeptInstance(deployment: deployment, address: address, plan: plan), as: id)
                return true
            }
        }
        guard isThere else { return }
        try await systemd.install(unit)
        try await systemd.start(id)
        try await runtime.alone(with: id) { _ in
            guard var now = try kept.load(id) else { return }
            now.unit = unit.text
            try kept.save(now, as: id)
        }
    }

    /// The machine starts them no more. Units that run for them end; containers are left as they are.
    func retire(_ ids: [String], by fence: Fence?) async throws {
        let (runtime, kept) = (runtime, kept)
        let known = try await queue.run { _ in ids.filter { kept.isThere($0) } }
        if !known.isEmpty {
            try await runtime.acting(as: fence) {
                for id in known { try await runtime.alone(with: id) { _ in try kept.remove(id) } }
            }
        }
        try await systemd.remove(ids)
    }

    /// Whether the machine starts the instance again when it ends, by a unit as it would be made now. A file that cannot be read
    /// counts as none.
    func isKept(_ id: String) async throws -> Bool {
        let unit = unit(ofInstance: id)
        return try await queue.run { [kept] _ in kept.readable(id)?.unit == unit.text }
    }

    /// The instances that are to be kept alive, by the deployment they belong to. One that cannot be read counts as nobody's.
    func instances() async throws -> [String: [String]] {
        try await queue.run { [kept] _ in Dictionary(grouping: kept.ids()) { kept.readable($0)?.deployment ?? "" } }
    }

    private func unit(ofInstance id: String) -> SystemdUnit { unit(id, "The instance \(id) of slipway", ["instance", "run", id]) }

    private func unit(_ subject: String, _ description: String, _ arguments: [String]) -> SystemdUnit {
        SystemdUnit(
            subject: subject, description: description,
            command: [settings.program.string] + arguments + ["--data", settings.data.string], data: settings.data)
    }
}
