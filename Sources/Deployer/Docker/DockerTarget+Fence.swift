import FoundationEssentials
import NIOHTTP1

/// Who may act, kept where the containers are: for each deployment a volume on each host, never mounted, named by the greatest
/// epoch. A daemon makes a volume by its name once, and lists them: whoever finds a greater epoch than its own is refused.
///
/// A daemon holds no lock for anybody, so "is it still mine?" and "do it" are two requests. How far what comes in between is
/// bounded: docs/decisions/0022.
extension DockerTarget {
    static let fenceLabel = "slipway.fence"
    static let epochLabel = "slipway.epoch"

    public func admit(_ claim: Claim) async throws {
        _ = try await onAnswering { api in try await self.raise(claim, api) }
    }

    public func dismiss(deployment: String, by claim: Claim?) async throws {
        try await onAll { api in
            // The claim may be one of them: the greatest goes last.
            let fences = try await self.fences(of: deployment, api).sorted { $0.epoch < $1.epoch }
            for fence in fences { try await self.acting(claim, api) { try await self.drop(fence.name, api, notAfter: $0) } }
        }
    }

    /// The deployments somebody may act for.
    public func claimed() async throws -> Set<String> {
        Set(
            try await onAnswering { api in try await self.volumes(["\(Self.ownerLabel)=\(self.settings.owner)", Self.fenceLabel], api) }
                .flatMap { $0 }.compactMap { $0.labels?[Self.fenceLabel] })
    }

    /// Does one request for a holder who is the last one by a look that is just over. `body` returns nil when too much time went by
    /// between the look and the request, because the server slept: then it looks again.
    @discardableResult
    func acting<T>(_ claim: Claim?, _ api: DockerAPI, _ body: (_ notAfter: ContinuousClock.Instant?) async throws -> T?) async throws -> T {
        while true {
            try Task.checkCancellation()
            let looked = ContinuousClock.now
            if let claim { try await check(claim, api) }
            if let result = try await body(claim.map { _ in looked + settings.settle / 5 }) { return result }
        }
    }

    /// - Throws: `.staleHolder` unless nobody after the holder was admitted, and the deployment is not over.
    func check(_ claim: Claim, _ api: DockerAPI) async throws {
        switch try await fences(of: claim.deployment, api).map(\.epoch).max() {
        case claim.epoch: return
        case .some(let greatest) where greatest > claim.epoch: throw stale(claim, by: greatest)
        case .some: try await raise(claim, api)
        case nil:
            // Over; unless the host was away when the holder was admitted.
            for other in apis where other.host != api.host {
                let greatest: Int64?
                do { greatest = try await fences(of: claim.deployment, other).map(\.epoch).max() } catch let error as DeployerError
                    where error.code == .targetUnreachable
                { continue }
                guard let greatest else { continue }
                guard greatest <= claim.epoch else { throw stale(claim, by: greatest) }
                return try await raise(claim, api)
            }
            throw DeployerError(
                .staleHolder, "\(claim.deployment) is over on \(api.host): nobody may act for it, nor may epoch \(claim.epoch)",
                hint: "nothing to do: its end is known")
        }
    }

    /// Admits the holder and none before it. What those are about to do is waited for.
    private func raise(_ claim: Claim, _ api: DockerAPI) async throws {
        let before = try await fences(of: claim.deployment, api)
        if let greatest = before.map(\.epoch).max() {
            if greatest > claim.epoch { throw stale(claim, by: greatest) }
            if greatest == claim.epoch, before.count == 1 { return }
        }
        let volume = DockerValues.Volume(
            name: "slipway-fence-\(settings.owner)-\(claim.deployment)-\(claim.epoch)",
            labels: [
                Self.ownerLabel: settings.owner, Self.fenceLabel: claim.deployment, Self.epochLabel: String(claim.epoch),
            ])
        _ = try await api.ask(.POST, "/volumes/create", body: volume)
        if let greatest = try await fences(of: claim.deployment, api).map(\.epoch).max(), greatest > claim.epoch {
            throw stale(claim, by: greatest)
        }
        let older = before.filter { $0.epoch < claim.epoch }
        if older.isEmpty { return }
        try await Task.sleep(for: settings.settle)
        for fence in older { try await drop(fence.name, api, notAfter: nil) }
    }

    private func fences(of deployment: String, _ api: DockerAPI) async throws -> [(name: String, epoch: Int64)] {
        try await volumes(["\(Self.ownerLabel)=\(settings.owner)", "\(Self.fenceLabel)=\(deployment)"], api).compactMap { volume in
            volume.labels?[Self.epochLabel].flatMap { Int64($0) }.map { (volume.name, $0) }
        }
    }

    func volumes(_ labels: [String], _ api: DockerAPI) async throws -> [DockerValues.Volume] {
        let found = try await api.get("/volumes", query: [("filters", try Self.filters(labels))], as: DockerValues.Volumes.self)?.volumes ?? []
        return found.filter { Self.bears($0.labels, labels) }
    }

    /// Docker lists what has all labels, Podman volumes that have one of them.
    static func bears(_ labels: [String: String]?, _ wanted: [String]) -> Bool {
        wanted.allSatisfy { label in
            let halves = label.split(separator: "=", maxSplits: 1)
            guard let name = halves.first, let value = labels?[String(name)] else { return false }
            return halves.count == 1 || value == halves[1]
        }
    }

    @discardableResult
    func drop(_ volume: String, _ api: DockerAPI, notAfter: ContinuousClock.Instant?) async throws -> Bool? {
        try await api.ask(.DELETE, "/volumes/\(DockerHost.escape(volume))", expecting: [404], notAfter: notAfter).map { _ in true }
    }

    static func filters(_ labels: [String]) throws -> String { String(decoding: try JSONEncoder().encode(["label": labels]), as: UTF8.self) }

    private func stale(_ claim: Claim, by epoch: Int64) -> DeployerError {
        DeployerError(
            .staleHolder, "\(claim.deployment) was taken over: epoch \(epoch) is in force, this is \(claim.epoch)",
            hint: "nothing to do: whoever has taken it over goes on with it")
    }
}
