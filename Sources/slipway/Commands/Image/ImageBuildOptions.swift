import ArgumentParser
import Foundation
import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// What an image is built on.
struct BaseOptions: ParsableArguments {
    @Option(help: "The image to build on; nothing when not given. Pulled when it names a registry and is not in the store.")
    var base: String?
    @Option(help: "OS/ARCHITECTURE[/VARIANT], this machine's when not given; several, with commas, make an index.")
    var platform: [String] = []
    @Flag(help: "Ask the base's registry what its tag names now.") var pull = false

    struct Found {
        let reference: ImageReference
        let digest: Digest
    }

    /// The base's digest, from the store or the registry it names.
    func resolve(in store: ImageStore, _ options: StoreOption, _ registries: OutsideRegistries?) async throws -> Found? {
        guard let base else { return nil }
        let reference = try ImageReference(parsing: base)
        if !pull || reference.registry == nil {
            if let found = try await store.resolve(reference) { return Found(reference: reference, digest: found.digest) }
        }
        guard reference.registry != nil else {
            let (reference, digest) = try await options.find(base, in: store)
            return Found(reference: reference, digest: digest)
        }
        if let registries { return Found(reference: reference, digest: try await registries.pull(reference, into: store)) }
        return Found(reference: reference, digest: try await withRegistries { try await $0.pull(reference, into: store) })
    }

    func platforms() throws -> [Platform] {
        try platform.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.map { text in
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else {
                throw Failure("--platform \(text)", hint: "write OS/ARCHITECTURE, as in linux/arm64", status: Failure.usage)
            }
            return Platform(architecture: parts[1], os: parts[0], variant: parts.count > 2 ? parts[2] : nil)
        }
    }
}

/// What the image's config and manifest say.
struct ConfigOptions: ParsableArguments {
    @Option(parsing: .unconditionalSingleValue, help: "The program, one word per option.") var entrypoint: [String] = []
    @Option(parsing: .unconditionalSingleValue, help: "Its arguments, one word per option.") var cmd: [String] = []
    @Option(help: "NAME=VALUE; may be repeated.") var env: [String] = []
    @Option(help: "The user it runs as.") var user: String?
    @Option(help: "Its working directory.") var workdir: String?
    @Option(help: "A port it listens on: 80, 80/tcp or 53/udp; may be repeated.") var port: [String] = []
    @Option(help: "NAME=VALUE in the config; may be repeated.") var label: [String] = []
    @Option(help: "NAME=VALUE in the manifest; may be repeated.") var annotation: [String] = []
}

/// How its layers are written.
struct LayerOptions: ParsableArguments {
    @Option(help: "gzip, zstd or none.") var compression = "gzip"
    @Option(help: "gzip: 0 to 2 (1), zstd: 1 to 19 (3).") var compressionLevel: Int?
    @Option(help: "Seconds since 1970 for image and files (default: SOURCE_DATE_EPOCH, or 0).") var timestamp: Int64?
    @Option(help: "How many threads compress (default: one per processor). The digest does not depend on it.") var threads: Int?
    @Option(help: "NAME of an environment variable whose value must not get into a layer; may be repeated.") var secretEnv: [String] = []

    func chosen() throws -> Compression {
        do { return try Compression(name: compression, level: compressionLevel) } catch {
            throw Failure("--compression: \(error.message)", hint: error.hint, status: Failure.usage)
        }
    }

    func time() throws -> Int64 {
        if let timestamp { return timestamp }
        guard let text = ProcessInfo.processInfo.environment["SOURCE_DATE_EPOCH"] else { return 0 }
        guard let epoch = Int64(text) else {
            throw Failure("SOURCE_DATE_EPOCH is '\(text)'", hint: "set it to seconds since 1970", status: Failure.usage)
        }
        return epoch
    }

    func secrets() throws -> [String] {
        try secretEnv.map { name in
            guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else {
                throw Failure("--secret-env \(name): there is no such variable", hint: "export it first", status: Failure.usage)
            }
            return value
        }
    }
}
