import ArgumentParser
import Foundation
import ImageBuilder
import ImageStore
import OCIModel
import RegistryClient
import SystemPackage

extension ImageCommand {
    struct Build: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an image of files or from a Containerfile: the same files, the same digest.",
            discussion: """
                Example: slipway image build --base library/debian:12 --copy dist:/app --entrypoint /app/serve --to 127.0.0.1:5000/shop/app:1
                Example: slipway image build --file Containerfile --build-arg VERSION=1 --to shop/app:1 .
                """)
        @Option(help: "FROM:TO, a file or folder and its place in the image; may be repeated.") var copy: [String] = []
        @Option(help: "What to call it; pushed there when it has a registry host.") var to: String
        @Option(help: "The image to build on; nothing when not given.") var base: String?
        @Option(help: "The command, one word per option.") var entrypoint: [String] = []
        @Option(help: "NAME=VALUE; may be repeated.") var env: [String] = []
        @Option(help: "The user it runs as.") var user: String?
        @Option(help: "Its working directory.") var workdir: String?
        @Option(help: "Seconds since 1970 for every file (default: SOURCE_DATE_EPOCH, or 0).") var timestamp: Int64?
        @Option(help: "How many threads compress.") var threads: Int?
        @OptionGroup var containerfile: ContainerfileOptions
        @OptionGroup var options: StoreOption

        func validate() throws {
            if containerfile.file == nil {
                guard !copy.isEmpty else { throw ValidationError("Missing expected argument '--copy <copy>' or '--file <file>'") }
                try containerfile.refuseWithoutFile()
            } else if !copy.isEmpty || base != nil || !entrypoint.isEmpty || !env.isEmpty || user != nil || workdir != nil {
                throw ValidationError(
                    "With --file, what is in the image stands in the Containerfile: leave out --copy, --base, --entrypoint, --env, --user and --workdir"
                )
            }
        }

        func run() async throws {
            let store = try options.open()
            let reference = try ImageReference(parsing: to)
            let epoch = ProcessInfo.processInfo.environment["SOURCE_DATE_EPOCH"].flatMap { Int64($0) }
            let time = timestamp ?? epoch ?? 0
            let built = try await containerfile.build(options, store: store, timestamp: time, threads: threads)
            let image = if let built { built } else { try await assemble(store, time) }
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

        /// One layer of the copies over the base.
        private func assemble(_ store: ImageStore, _ time: Int64) async throws -> Descriptor {
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
                annotations: [:], timestamp: time, platform: .current)
            return try await ImageBuilder(store: store, threads: threads).build(request).manifest
        }
    }
}
