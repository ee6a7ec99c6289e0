import ArgumentParser
import AsyncHTTPClient
import Foundation
import ImageBuilder
import ImageStore
import Logging
import OCIModel
import RegistryClient
import SystemPackage

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "Build, move and look into images. Needs no server.",
        subcommands: [Build.self, Import.self, Export.self, Push.self, Pull.self, Inspect.self])
}

/// The store the image commands work on.
struct StoreOption: ParsableArguments {
    @Option(help: "The data directory (default: SLIPWAY_DATA, or \(ServerSettings.defaultData)).") var data: String?
    @Flag(help: "Print one JSON document.") var json = false

    func open() throws -> ImageStore {
        let folder = data ?? ProcessInfo.processInfo.environment["SLIPWAY_DATA"] ?? ServerSettings.defaultData
        return try ImageStore(root: absolute(folder))
    }

    /// The manifest a name stands for in the store.
    func find(_ name: String, in store: ImageStore) async throws -> (reference: ImageReference, digest: Digest) {
        let reference = try ImageReference(parsing: name)
        guard let found = try await store.resolve(reference) else {
            throw Failure("\(reference) is not in the store", hint: "import it with: slipway image import FILE \(reference)")
        }
        return (reference, found.digest)
    }

    func report(_ text: String, digest: Digest, reference: ImageReference) throws {
        struct Value: Encodable {
            var reference: String
            var digest: String
        }
        if json { return try printJSON(Value(reference: "\(reference)", digest: "\(digest)")) }
        print("\(text) \(reference)\n\(digest)")
    }
}

func absolute(_ path: String) -> FilePath { FilePath(URL(fileURLWithPath: path).standardizedFileURL.path) }

/// Lends the registries outside, with Docker's credentials, to a command.
private func withRegistries<T>(_ body: (OutsideRegistries) async throws -> T) async throws -> T {
    let client = OutsideRegistries.makeClient()
    do {
        let result = try await body(
            OutsideRegistries(
                configFile: nil, environment: ProcessInfo.processInfo.environment, client: client,
                logger: Logger(label: "slipway") { _ in SwiftLogNoOpLogHandler() }))
        try await client.shutdown()
        return result
    } catch {
        try? await client.shutdown()
        throw error
    }
}

extension ImageCommand {
    struct Build: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an image of files: the same files, the same digest.",
            discussion:
                "Example: slipway image build --base library/debian:12 --copy dist:/app --entrypoint /app/serve --to 127.0.0.1:5000/shop/app:1")
        @Option(help: "FROM:TO, a file or folder and its place in the image; may be repeated.") var copy: [String]
        @Option(help: "What to call it; pushed there when it has a registry host.") var to: String
        @Option(help: "The image to build on; nothing when not given.") var base: String?
        @Option(help: "The command, one word per option.") var entrypoint: [String] = []
        @Option(help: "NAME=VALUE; may be repeated.") var env: [String] = []
        @Option(help: "The user it runs as.") var user: String?
        @Option(help: "Its working directory.") var workdir: String?
        @Option(help: "Seconds since 1970 for every file (default: SOURCE_DATE_EPOCH, or 0).") var timestamp: Int64?
        @Option(help: "How many threads compress.") var threads: Int?
        @OptionGroup var options: StoreOption

        func run() async throws {
            let store = try options.open()
            let reference = try ImageReference(parsing: to)
            let epoch = ProcessInfo.processInfo.environment["SOURCE_DATE_EPOCH"].flatMap { Int64($0) }
            var environment: [String: String] = [:]
            for pair in env {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                guard parts.count == 2 else { throw Failure("--env \(pair)", hint: "write NAME=VALUE", status: Failure.usage) }
                environment[parts[0]] = parts[1]
            }
            let copies = try copy.map { pair in
                guard let colon = pair.lastIndex(of: ":") else {
                    throw Failure("--copy \(pair)", hint: "write FROM:TO, as in dist:/app", status: Failure.usage)
                }
                return BuildRequest.Copy(
                    source: absolute(String(pair[..<colon])), destination: String(pair[pair.index(after: colon)...]))
            }
            var baseDigest: Digest?
            if let base { baseDigest = try await options.find(base, in: store).digest }
            let request = BuildRequest(
                base: baseDigest, copies: copies, context: "/", entrypoint: entrypoint.isEmpty ? nil : entrypoint,
                cmd: nil, environment: environment, user: user, workingDirectory: workdir, ports: [], labels: [:],
                annotations: [:], timestamp: timestamp ?? epoch ?? 0, platform: .current)
            let image = try await ImageBuilder(store: store, threads: threads).build(request).manifest
            let tag = try reference.tag ?? Tag(parsing: "latest")
            try await store.record(manifest: image.digest, mediaType: image.mediaType, in: reference.repository)
            try await store.tag(tag, as: image.digest, in: reference.repository)
            if let host = reference.registry {
                _ = try await withRegistries {
                    try await $0.registry(host).push(image.digest, from: store, to: reference.repository, tag: tag)
                }
            }
            try options.report(reference.registry == nil ? "Built" : "Built and pushed", digest: image.digest, reference: reference)
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring an image into the store: an OCI layout, a docker archive, or a root file system (tar or folder).",
            discussion: "Example: slipway image import debian.tar library/debian:12 --data /var/lib/slipway")
        @Argument(help: "The file or folder.") var file: String
        @Argument(help: "What to call it.") var name: String
        @OptionGroup var options: StoreOption

        func run() async throws {
            let store = try options.open()
            let reference = try ImageReference(parsing: name)
            let digest = try await ImageArchive.importArchive(
                absolute(file), into: store, repository: reference.repository,
                tag: try reference.tag ?? Tag(parsing: "latest"))
            try options.report("Imported", digest: digest, reference: reference)
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write an image to a file or folder.",
            discussion: "Example: slipway image export shop/gtin:1 gtin.tar --format docker-archive")
        @Argument(help: "The image.") var name: String
        @Argument(help: "Where to; must not exist.") var file: String
        @Option(help: "oci (a folder), oci-archive or docker-archive.") var format = "oci-archive"
        @OptionGroup var options: StoreOption

        func run() async throws {
            guard let format = ImageArchive.Format(rawValue: format) else {
                throw Failure(
                    "there is no format '\(format)'",
                    hint: "choose one of \(ImageArchive.Format.allCases.map(\.rawValue).joined(separator: ", "))",
                    status: Failure.usage)
            }
            let store = try options.open()
            let (reference, digest) = try await options.find(name, in: store)
            try await ImageArchive.export(digest, reference: reference, from: store, to: absolute(file), format: format)
            try options.report("Exported", digest: digest, reference: reference)
        }
    }

    struct Push: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send an image of the store to a registry.",
            discussion: "Example: slipway image push shop/gtin:1 registry.example.com/shop/gtin:1")
        @Argument(help: "The image in the store.") var name: String
        @Argument(help: "HOST/REPOSITORY[:TAG]; the image's own name when not given.") var destination: String?
        @OptionGroup var options: StoreOption

        func run() async throws {
            let store = try options.open()
            let (source, digest) = try await options.find(name, in: store)
            let target = try destination.map { try ImageReference(parsing: $0) } ?? source
            guard let host = target.registry else {
                throw Failure("\(target) names no registry", hint: "say where to: slipway image push \(name) HOST/\(target)", status: Failure.usage)
            }
            let tag = try target.tag ?? source.tag ?? Tag(parsing: "latest")
            let result = try await withRegistries {
                try await $0.registry(host).push(
                    digest, from: store, to: target.repository, tag: tag, progress: pushProgress())
            }
            if isTerminal, !options.json {
                print("\(result.blobsUploaded) blobs sent, \(result.blobsAlreadyThere) already there")
            }
            try options.report("Pushed", digest: digest, reference: target)
        }

        /// A line per blob, for whoever looks on.
        private func pushProgress() -> (@Sendable (RegistryProgress) -> Void)? {
            guard isTerminal else { return nil }
            return { progress in
                if progress.completed == progress.total { writeError("  \(progress.digest.short)  \(progress.total) bytes") }
            }
        }
    }

    struct Pull: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring an image from a registry into the store.",
            discussion: "Example: slipway image pull registry.example.com/shop/gtin:1")
        @Argument(help: "HOST/REPOSITORY[:TAG][@DIGEST]") var name: String
        @OptionGroup var options: StoreOption

        func run() async throws {
            let store = try options.open()
            let reference = try ImageReference(parsing: name)
            let digest = try await withRegistries { try await $0.pull(reference, into: store) }
            try options.report("Pulled", digest: digest, reference: reference)
        }
    }

    struct Inspect: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what an image is made of.", discussion: "Example: slipway image inspect library/debian:12")
        @Argument(help: "The image in the store.") var name: String
        @OptionGroup var options: StoreOption

        private struct Value: Encodable {
            var reference: String
            var digest: Digest
            var manifest: Manifest
            var config: ImageConfig
        }

        func run() async throws {
            let store = try options.open()
            let (reference, digest) = try await options.find(name, in: store)
            let image = try await store.load(digest, platform: nil)
            if options.json {
                return try printJSON(
                    Value(reference: "\(reference)", digest: digest, manifest: image.manifest, config: image.config))
            }
            print("\(reference)\n  digest    \(digest)\n  platform  \(image.config.os)/\(image.config.architecture)")
            if let created = image.config.created { print("  created   \(created)") }
            let config = image.config.config
            if let words = config?.entrypoint { print("  entry     \(words.joined(separator: " "))") }
            if let words = config?.cmd { print("  command   \(words.joined(separator: " "))") }
            if let user = config?.user { print("  user      \(user)") }
            for layer in image.manifest.layers { print("  layer     \(layer.digest) \(layer.size) bytes") }
        }
    }
}
