import ArgumentParser
import Foundation
import ImageStore
import OCIModel

extension ImageCommand {
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
