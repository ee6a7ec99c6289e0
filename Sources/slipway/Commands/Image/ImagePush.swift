import ArgumentParser
import Foundation
import ImageStore
import OCIModel
import RegistryClient

extension ImageCommand {
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
            let progress = TransferProgress(isShown: !options.json)
            let result = try await withRegistries {
                try await $0.registry(host).push(
                    digest, from: store, to: target.repository, tag: tag, progress: progress.report)
            }
            let summary = progress.finish()
            if isTerminal, !options.json {
                print("\(result.blobsUploaded) blobs sent, \(result.blobsAlreadyThere) already there\(summary)")
            }
            try options.report("Pushed", digest: digest, reference: target)
        }
    }
}
