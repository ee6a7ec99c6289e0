import ArgumentParser
import ImageStore
import OCIModel

extension ImageCommand {
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
}
