import BlockingQueue
import ContainerRuntime
import ContainerfileBuild
import Foundation
import Glibc
import ImageStore
import OCIModel
import Synchronization
import SystemPackage
import Testing

/// A store with a small base image, a context and a builder in a temporary folder; all of it is gone afterwards.
final class Yard: Sendable {
    let folder: FilePath
    let store: ImageStore
    let snapshots: Snapshots
    let runtime: ContainerRuntime
    let builder: ContainerfileBuilder
    let files = FakeFiles()
    let repositories = FakeRepositories()
    private let cgroup: String
    var context: FilePath { folder.appending("context") }

    /// Fails, naming the package, where a part is missing.
    static func with(_ body: (Yard) async throws -> Void) async throws {
        for (file, package) in [("/bin/busybox", "busybox-static"), ("/usr/sbin/runc", "runc"), ("/usr/bin/conmon", "conmon")]
        where access(file, X_OK) != 0 {
            Issue.record("\(file) is missing: apt-get install \(package)")
            return
        }
        let yard = try await Yard()
        do {
            try await body(yard)
        } catch {
            yard.close()
            throw error
        }
        #expect(try await yard.runtime.list().isEmpty, "a build left containers")
        #expect(try FileManager.default.contentsOfDirectory(atPath: yard.folder.appending("builds/temporary").string).isEmpty)
        yard.close()
    }

    private init() async throws {
        let number = UInt32.random(in: 0 ... .max)
        folder = FilePath("/tmp/slipway-yard-\(number)")
        try FileManager.default.createDirectory(atPath: folder.appending("context").string, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: folder.appending("builds/temporary").string, withIntermediateDirectories: true)
        store = try ImageStore(root: folder)
        snapshots = Snapshots(root: folder.appending("snapshots"), store: store)
        cgroup = "slipway-test-\(number)"
        var settings = RuntimeSettings()
        settings.cgroup = cgroup
        settings.stateFolder = folder.appending("state")
        settings.networkFolder = folder.appending("networks")
        runtime = ContainerRuntime(root: folder.appending("builds/containers"), settings: settings)
        builder = ContainerfileBuilder(
            store: store, snapshots: snapshots, runtime: runtime, folder: folder.appending("builds"),
            images: StoredImages(store: store), files: files, repositories: repositories)
        let root = folder.appending("root")
        try await shell(
            """
            mkdir -p "$0/bin" "$0/etc" "$0/root" "$0/usr/lib" "$0/home/app" && mkdir -m 1777 "$0/tmp" && ln -s usr/lib "$0/lib"
            cp /bin/busybox "$0/bin/busybox" && for name in $(/bin/busybox --list); do
              [ "$name" = busybox ] || ln -s busybox "$0/bin/$name"; done
            printf 'root:x:0:0:root:/root:/bin/sh\\napp:x:1000:2000::/home/app:/bin/sh\\n' > "$0/etc/passwd"
            printf 'root:x:0:\\nstaff:x:50:\\napps:x:2000:\\n' > "$0/etc/group"; chown -R 1000:2000 "$0/home/app"
            find "$0" -exec touch -h -d @0 {} +
            """, root.string)
        _ = try await ImageArchive.importArchive(
            root, into: store, repository: RepositoryName(parsing: "busybox"), tag: Tag(parsing: "latest"))
        try await shell("rm -r \"$0\"", root.string)
    }

    private func close() {
        for mount in (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8))?.split(separator: "\n") ?? []
        where mount.contains(folder.string) {
            umount2(String(mount.split(separator: " ")[1]), Int32(MNT_DETACH))
        }
        for controller in (try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup")) ?? [] {
            rmdir("/sys/fs/cgroup/\(controller)/\(cgroup)")
        }
        rmdir("/sys/fs/cgroup/\(cgroup)")
        try? FileManager.default.removeItem(atPath: folder.string)
    }

    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
        let path = context.pushing(FilePath(name))
        try FileManager.default.createDirectory(
            atPath: path.removingLastComponent().string, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path.string))
        chmod(path.string, mode)
    }

    /// Builds the text of a Containerfile over the context.
    func build(
        _ text: String, change: (inout ContainerfileBuildRequest) -> Void = { _ in }
    ) async throws -> Built {
        let file = folder.appending("Containerfile")
        try Data(text.utf8).write(to: URL(fileURLWithPath: file.string))
        var request = ContainerfileBuildRequest(containerfile: file, context: context, timestamp: 0, network: .none)
        change(&request)
        let events = Events()
        let image = try await builder.build(request) { events.add($0) }
        let loaded = try await store.load(image.manifest.digest)
        return Built(image: image, config: loaded.config, events: events)
    }

    /// Runs a shell command over the built file tree and returns what it prints.
    @discardableResult
    func look(_ built: Built, _ script: String) async throws -> String {
        try await withTree(of: built.image) { root in try await shell("cd \"$0\" && \(script)", root.string) }
    }

    /// The file tree of an image, mounted while `body` runs.
    func withTree<T: Sendable>(of image: ContainerfileImage, _ body: (FilePath) async throws -> T) async throws -> T {
        let unpacked = try await snapshots.prepare(image.manifest.digest)
        let id = "look-\(UInt32.random(in: 0 ... .max))"
        let mounted = try await runtime.mountRoot(id, layers: unpacked.layers.map(\.string))
        let result: Result<T, any Error>
        do { result = .success(try await body(mounted.root)) } catch { result = .failure(error) }
        try await runtime.remove(id)
        return try result.get()
    }
}

/// What a build made and said.
struct Built {
    let image: ContainerfileImage
    let config: ImageConfig
    let events: Events
    var output: [String] { events.all.compactMap { if case .output(_, let line) = $0 { line } else { nil } } }
    var warnings: [String] { events.all.compactMap { if case .warning(let text) = $0 { text } else { nil } } }
}

final class Events: Sendable {
    private let list = Mutex<[BuildEvent]>([])
    var all: [BuildEvent] { list.withLock { $0 } }
    func add(_ event: BuildEvent) { list.withLock { $0.append(event) } }
}

struct StoredImages: BaseImages {
    let store: ImageStore
    func digest(of image: String, platform: Platform) async throws -> Digest {
        guard let found = try await store.resolve(ImageReference(parsing: image)) else {
            throw ContainerfileBuildError(.notFound, "no image \(image)")
        }
        return found.digest
    }
}

/// Files by URL; counts how often each was fetched.
final class FakeFiles: RemoteFiles {
    let content = Mutex<[String: String]>([:])
    let fetched = Mutex<Int>(0)

    func fetch(_ url: String, to file: FilePath, limit: Int64) async throws -> Int64? {
        guard let text = content.withLock({ $0[url] }) else { throw ContainerfileBuildError(.notFound, "\(url) answered 404") }
        fetched.withLock { $0 += 1 }
        try Data(text.utf8).write(to: URL(fileURLWithPath: file.string))
        return -100
    }
}

/// One repository with one commit.
struct FakeRepositories: RemoteRepositories {
    static let commit = String(repeating: "ab", count: 20)
    func commit(of url: String, reference: String?) async throws -> String { Self.commit }
    func checkOut(_ url: String, commit: String, into folder: FilePath) async throws {
        try await shell("mkdir \"$0/sub\" && echo code > \"$0/sub/main\" && echo read > \"$0/README\"", folder.string)
    }
}

private let shells = BlockingQueue(label: "shells", width: 2)

/// Runs a script; what it prints, without the last newline. A failure fails the test.
@discardableResult
func shell(_ script: String, _ arguments: String...) async throws -> String {
    try await shells.run { _ in
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-euc", script] + arguments
        let pipe = Foundation.Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
        guard process.terminationStatus == 0 else {
            throw ContainerfileBuildError(.failed, "'\(script)' ended with \(process.terminationStatus): \(text)")
        }
        return text
    }
}
