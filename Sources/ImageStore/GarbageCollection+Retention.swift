import Glibc
import OCIModel
import SystemPackage

extension GarbageCollection {
    private struct TagEntry {
        let name: String
        let digest: Digest
        let pushed: Int64
    }

    /// Removes the tags that no rule keeps, then the manifests that were only reachable by them.
    mutating func applyRetention() throws {
        for repository in try store.repositoryFolders() {
            guard let rule = policy.retention.first(where: { $0.repositories.matches(repository) }) else { continue }
            try apply(rule, to: repository)
        }
    }

    private mutating func apply(_ rule: RetentionRule, to repository: RepositoryName) throws {
        let folder = store.folder(repository, "_tags")
        var tags: [TagEntry] = []
        for name in try Files.names(in: folder) ?? [] {
            guard let text = try store.text(folder.appending(name)), let digest = try? Digest(parsing: text),
                let pushed = try Files.modified(folder.appending(name))
            else { continue }
            tags.append(TagEntry(name: name, digest: digest, pushed: pushed.nanoseconds))
        }
        let candidates = expired(tags, by: rule)
        let gone = try removing(candidates, at: { folder.appending($0.name) }, than: begun) { tag, path in
            // Pushed again since it was looked at: not the tag that expired.
            guard try Files.modified(path)?.nanoseconds == tag.pushed else { return false }
            return try Files.unlink(path)
        }
        report.tagsRemoved += gone.count
        for tag in gone { report.note("tag \(repository):\(tag.name)") }
        let goneNames = Set(gone.map(\.name))
        try removeUnreachable(repository, tagged: Set(tags.filter { !goneNames.contains($0.name) }.map(\.digest)), rule)
    }

    private func expired(_ tags: [TagEntry], by rule: RetentionRule) -> [TagEntry] {
        guard rule.keepLast != nil || rule.keepFor != nil else { return [] }
        let newestFirst = tags.sorted { ($0.pushed, $0.name) > ($1.pushed, $1.name) }
        let since = rule.keepFor.map { begun - $0.nanoseconds }
        return newestFirst.dropFirst(rule.keepLast ?? 0).filter { tag in
            !policy.pins.contains(tag.digest) && tag.pushed < cutoff && tag.pushed < (since ?? .max)
        }
    }

    /// Manifests stay that a tag names, a pin, an index that stays, or whose subject stays.
    private mutating func removeUnreachable(
        _ repository: RepositoryName, tagged: Set<Digest>, _ rule: RetentionRule
    ) throws {
        guard rule.keepLast != nil || rule.keepFor != nil else { return }
        let folder = store.folder(repository, "_manifests")
        let all = try (Files.names(in: folder) ?? []).compactMap { Digest(hex: $0) }
        var links: [Digest: ManifestLinks] = [:]
        var referrers: [Digest: [Digest]] = [:]
        for manifest in all {
            guard let bytes = try? store.readNow(manifest) else { continue }
            let found = ManifestLinks(bytes)
            links[manifest] = found
            if let subject = found.subject { referrers[subject, default: []].append(manifest) }
        }
        var reachable: Set<Digest> = []
        var open = Array(tagged.union(policy.pins)) + (try all.filter { try !isOlder(folder.appending($0.hex), than: cutoff) })
        while let manifest = open.popLast() {
            guard reachable.insert(manifest).inserted else { continue }
            open += (links[manifest]?.children ?? []) + (referrers[manifest] ?? [])
        }
        let gone = try removing(all.filter { !reachable.contains($0) }, at: { folder.appending($0.hex) }) { manifest, path in
            if let subject = links[manifest]?.subject {
                try Files.unlink(store.referrers(of: subject, in: repository).appending(manifest.hex))
            }
            return try Files.unlink(path)
        }
        if !gone.isEmpty, !policy.dryRun { try Files.syncFolder(folder) }
        dropped[repository] = Set(gone)
        report.manifestsRemoved += gone.count
        for manifest in gone { report.note("manifest \(repository)@\(manifest)") }
    }
}
