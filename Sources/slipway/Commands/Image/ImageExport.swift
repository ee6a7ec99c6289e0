import ArgumentParser
import ImageStore

extension ImageCommand {
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
}
