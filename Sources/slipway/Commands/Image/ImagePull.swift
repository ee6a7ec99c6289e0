import ArgumentParser
import OCIModel

extension ImageCommand {
    struct Pull: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring an image from a registry into the store.",
            discussion: "Example: slipway image pull registry.example.com/shop/gtin:1")
        @Argument(help: "HOST/REPOSITORY[:TAG][@DIGEST]") var name: String
        @OptionGroup var options: StoreOption

        func run() async throws {
            let store = try options.open()
            let reference = try ImageReference(parsing: name)
            let progress = TransferProgress(isShown: !options.json)
            let digest = try await withRegistries { try await $0.pull(reference, into: store, progress: progress.report) }
            let summary = progress.finish()
            if isTerminal, !options.json, !summary.isEmpty { print("\(summary.dropFirst(2))") }
            try options.report("Pulled", digest: digest, reference: reference)
        }
    }
}
