import ArgumentParser
import Foundation
import ImageBuilder
import ImageStore
import OCIModel
import RegistryClient

extension ImageCommand {
    struct Rebase: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move an image onto another base without building it again, when that is safe.",
            discussion: """
                Example: slipway image rebase registry.example.com/shop/gtin:1 --onto library/debian:12.11

                The image's own layers stay as they are. Refused, naming the path, where they speak about a file of the old base that \
                is another one in the new base. docs/layers.md has the rules.
                """)
        @Argument(help: "The image; pulled when it names a registry and is not in the store.") var name: String
        @Option(help: "The new base.") var onto: String
        @Option(help: "The base the image was built on (default: what its annotations say).") var oldBase: String?
        @Option(help: "What to call the result; the image's own name when not given. Pushed when it names a registry.") var to: String?
        @OptionGroup var options: StoreOption

        func run() async throws {
            let store = try options.open()
            let source = try ImageReference(parsing: name)
            let target = try to.map { try ImageReference(parsing: $0) } ?? source
            if target.tag == nil, target.digest != nil {
                throw Failure(
                    "\(target) names a digest, which cannot be moved", hint: "say what to call the result: --to NAME:TAG", status: Failure.usage)
            }
            let image = try await fetch(source, store)
            let base = try ImageReference(parsing: onto)
            let newBase = try await fetch(base, store)
            let rebase = ImageRebase(store: store)
            let before = try await findOldBase(of: image, rebase, store)
            let moved = try await rebase.rebase(image, onto: newBase, name: "\(base)", oldBase: before)
            let tag = try target.tag ?? Tag(parsing: "latest")
            try await store.record(manifest: moved.digest, mediaType: moved.mediaType, in: target.repository)
            try await store.tag(tag, as: moved.digest, in: target.repository)
            if let host = target.registry {
                _ = try await withRegistries {
                    try await $0.registry(host).push(moved.digest, from: store, to: target.repository, tag: tag)
                }
            }
            try options.report(target.registry == nil ? "Rebased" : "Rebased and pushed", digest: moved.digest, reference: target)
        }

        /// Of a registry what it has now: a tag may have moved since it was pulled.
        private func fetch(_ reference: ImageReference, _ store: ImageStore) async throws -> Digest {
            if reference.registry != nil, reference.digest == nil {
                return try await withRegistries { try await $0.pull(reference, into: store) }
            }
            if let found = try await store.resolve(reference) { return found.digest }
            guard reference.registry != nil else { return try await options.find("\(reference)", in: store).digest }
            return try await withRegistries { try await $0.pull(reference, into: store) }
        }

        /// Nil leaves it to what the annotations say, which is in the store then.
        private func findOldBase(of image: Digest, _ rebase: ImageRebase, _ store: ImageStore) async throws -> Digest? {
            if let oldBase { return try await fetch(try ImageReference(parsing: oldBase), store) }
            let recorded = try await rebase.recordedBase(of: image)
            guard let digest = recorded.digest, try store.size(of: digest) == nil, let name = recorded.name,
                let reference = try? ImageReference(parsing: name), reference.registry != nil
            else { return nil }
            let exact = ImageReference(registry: reference.registry, repository: reference.repository, tag: nil, digest: digest)
            return try await fetch(exact, store)
        }
    }
}
