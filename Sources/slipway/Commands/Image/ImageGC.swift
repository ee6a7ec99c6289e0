import ArgumentParser
import Foundation
import ImageStore
import StateStore
import SystemPackage

extension ImageCommand {
    struct GC: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "gc", abstract: "Remove what no image refers to from the store.",
            discussion: """
                Example: slipway image gc --data /var/lib/slipway --dry-run

                Builds, pushes and pulls may go on meanwhile. A running server collects by itself; --server asks it to do so \
                now. Without one, this command holds the data directory's lock while it works.
                """)
        @OptionGroup var options: StoreOption
        @Option(help: "The configuration file with the retention rules (default: SLIPWAY_CONFIG).") var config: String?
        @Flag(help: "Only say what would go.") var dryRun = false
        @Flag(help: "Ask the running server (SLIPWAY_URL, SLIPWAY_TOKEN).") var server = false

        func run() async throws {
            let report = server ? try await ask() : try await collect()
            if options.json { return try printJSON(report) }
            for line in report.removed { print("\(report.dryRun ? "would remove" : "removed") \(line)") }
            let verb = report.dryRun ? "Would free" : "Freed"
            print(
                "\(verb) \(report.bytesFreed) bytes: \(report.blobsRemoved) blobs, \(report.manifestsRemoved) manifests, "
                    + "\(report.tagsRemoved) tags, \(report.snapshotsRemoved) unpacked layers, \(report.uploadsRemoved) uploads. "
                    + "\(report.blobsKept) blobs stay, \(report.bytesKept) bytes.")
        }

        private func ask() async throws -> CollectionReport {
            try await Client().post("/registry/collect?dry_run=\(dryRun)")
        }

        private func collect() async throws -> CollectionReport {
            let store = try options.open()
            let folder = try DataFolder(
                store.root,
                ifBusy: Failure(
                    "a server uses \(store.root), and knows better which images it needs",
                    hint: "ask it with: slipway image gc --server", status: Failure.refused))
            let settings = try await ServerSettings.read(file: config, data: store.root.string, listen: nil, routerPort: nil)
            var policy = settings.registry.policy
            policy.dryRun = dryRun
            if settings.store.exists {
                let lock = try settings.store.lock()
                do {
                    policy.pins = try await settings.store.open().digestsInUse()
                } catch let error as StateError {
                    // Without it nobody knows which images are needed.
                    throw Failure(error)
                }
                withExtendedLifetime(lock) {}
            }
            return try await store.collect(
                policy, snapshots: Snapshots(root: folder.snapshots, store: store), containers: folder.containers)
        }
    }
}
