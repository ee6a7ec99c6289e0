import ArgumentParser
import ContainerfileBuild
import Foundation
import ImageBuilder
import ImageStore
import OCIModel
import RegistryClient
import SystemPackage

extension ImageCommand {
    struct Build: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "build", abstract: "Make an image of files or from a Containerfile: the same files, the same digest.",
            discussion: """
                Every --copy is a layer of its own, in the order given; what did not change is not built again.

                Example: slipway image build --base library/debian:12 --copy dist:/app --entrypoint /app/serve \
                --to 127.0.0.1:5000/shop/app:1

                Example: slipway image build --file Containerfile --build-arg VERSION=1 --to shop/app:1 .
                """)
        @Option(help: "FROM:TO, a file or folder and its place in the image; may be repeated.") var copy: [String] = []
        @Option(help: "What to call it; pushed there when it has a registry host.") var to: String
        @OptionGroup var base: BaseOptions
        @OptionGroup var config: ConfigOptions
        @OptionGroup var layers: LayerOptions
        @OptionGroup var containerfile: ContainerfileOptions
        @OptionGroup var options: StoreOption

        func validate() throws {
            guard containerfile.file != nil else { return try containerfile.refuseWithoutFile() }
            let described = [config.entrypoint, config.cmd, config.env, config.port].contains { !$0.isEmpty }
            if !copy.isEmpty || base.base != nil || described || config.user != nil || config.workdir != nil {
                throw ValidationError(
                    "With --file, what is in the image stands in the Containerfile: leave out --copy, --base, --entrypoint and the like")
            }
        }

        func run() async throws {
            let store = try options.open()
            let reference = try ImageReference(parsing: to)
            if let file = containerfile.file { return try await build(reference, from: file, in: store) }
            if reference.registry == nil { return try await build(reference, in: store, nil) }
            try await withRegistries { try await build(reference, in: store, $0) }
        }

        private func build(
            _ reference: ImageReference, in store: ImageStore, _ registries: OutsideRegistries?
        ) async throws {
            let found = try await base.resolve(in: store, options, registries)
            let request = try request(on: found)
            let builder = ImageBuilder(store: store, threads: layers.threads)
            let platforms = try base.platforms()
            let uploads = try registries?.uploads(from: store, to: reference, base: found?.reference)
            let image =
                if platforms.count > 1 {
                    try await builder.buildIndex(request, platforms: platforms, layers: uploads)
                } else {
                    try await builder.build(request, layers: uploads).manifest
                }
            let tag = try reference.tag ?? Tag(parsing: "latest")
            let named = ImageReference(registry: reference.registry, repository: reference.repository, tag: tag, digest: nil)
            async let kept: Void = keep(image, as: named, in: store)
            do {
                if let host = named.registry, let registries {
                    _ = try await (uploads?.client ?? registries.registry(host)).push(
                        image.digest, from: store, to: named.repository, tag: tag, ahead: uploads)
                }
            } catch {
                // What could not be pushed can be pushed later.
                try await kept
                throw error
            }
            try await kept
            try options.report(registries == nil ? "Built" : "Built and pushed", digest: image.digest, reference: reference)
        }

        private func request(on base: BaseOptions.Found?) throws -> BuildRequest {
            let copies = try copy.map { pair in
                guard let colon = pair.lastIndex(of: ":"), colon != pair.startIndex else {
                    throw Failure("--copy \(pair)", hint: "write FROM:TO, as in dist:/app", status: Failure.usage)
                }
                return BuildRequest.Copy(
                    source: absolute(String(pair[..<colon])), destination: String(pair[pair.index(after: colon)...]))
            }
            return BuildRequest(
                base: base?.digest, copies: copies, context: "/",
                entrypoint: config.entrypoint.isEmpty ? nil : config.entrypoint, cmd: config.cmd.isEmpty ? nil : config.cmd,
                environment: try pairs("--env", config.env), user: config.user, workingDirectory: config.workdir,
                ports: config.port, labels: try pairs("--label", config.label),
                annotations: try pairs("--annotation", config.annotation), timestamp: try layers.time(),
                platform: try self.base.platforms().first ?? .current, baseName: base.map { "\($0.reference)" },
                compression: try layers.chosen(), secrets: try layers.secrets())
        }

        /// From a Containerfile, in ImageBuildFile.swift.
        private func build(_ reference: ImageReference, from file: String, in store: ImageStore) async throws {
            let platforms = try base.platforms()
            guard platforms.count < 2 else {
                throw Failure("--file builds for one platform", hint: "build each, then push them as an index", status: Failure.usage)
            }
            var request = try containerfile.request(absolute(file), timestamp: layers.time())
            request.platform = platforms.first ?? .current
            request.labels = try pairs("--label", config.label)
            request.annotations = try pairs("--annotation", config.annotation)
            request.compression = try layers.chosen()
            for (index, secret) in try layers.secrets().enumerated() { request.forbidden["\(layers.secretEnv[index])"] = Array(secret.utf8) }
            try await withRegistries { registries in
                let image = try await containerfile.build(request, options, store, registries, threads: layers.threads)
                let tag = try reference.tag ?? Tag(parsing: "latest")
                let named = ImageReference(registry: reference.registry, repository: reference.repository, tag: tag, digest: nil)
                try await keep(image, as: named, in: store)
                if let host = reference.registry {
                    _ = try await registries.registry(host).push(image.digest, from: store, to: reference.repository, tag: tag)
                }
                try options.report(
                    reference.registry == nil ? "Built" : "Built and pushed", digest: image.digest, reference: reference)
            }
        }

        /// Gives the image its name in the store.
        private func keep(_ image: Descriptor, as name: ImageReference, in store: ImageStore) async throws {
            guard let tag = name.tag else { return }
            try await store.record(manifest: image.digest, mediaType: image.mediaType, in: name.repository)
            try await store.tag(tag, as: image.digest, in: name.repository)
        }

        private func pairs(_ option: String, _ texts: [String]) throws -> [String: String] {
            var pairs: [String: String] = [:]
            for text in texts {
                let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                guard parts.count == 2, !parts[0].isEmpty else {
                    throw Failure("\(option) \(text)", hint: "write NAME=VALUE", status: Failure.usage)
                }
                pairs[parts[0]] = parts[1]
            }
            return pairs
        }
    }
}
