import ArgumentParser
import OCIModel
import RegistryClient

extension ImageCommand {
    struct Copy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy an image from one registry to another, without the disk in between.",
            discussion: """
                Example: slipway image copy registry.example.com/shop/gtin:1 mirror.example.com/shop/gtin:1 --referrers
                An index is copied with all its images, unless --platform picks one. docs/registries.md has more.
                """)
        @Argument(help: "HOST/REPOSITORY[:TAG][@DIGEST] to copy.") var source: String
        @Argument(help: "HOST/REPOSITORY[:TAG] to copy to; the tag of the source when none is given.") var destination: String
        @Option(help: "Of an index only the image for OS/ARCHITECTURE[/VARIANT].") var platform: String?
        @Flag(help: "Of an index every image (this is the default).") var all = false
        @Flag(help: "Also what refers to the image: signatures, bills of materials.") var referrers = false
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let (from, to) = try (ImageReference(parsing: source), ImageReference(parsing: destination))
            guard let sourceHost = from.registry, let host = to.registry else {
                throw Failure(
                    "\(from.registry == nil ? source : destination) names no registry", hint: "write HOST/REPOSITORY:TAG",
                    status: Failure.usage)
            }
            guard to.digest == nil else {
                throw Failure("\(destination): a digest cannot be chosen", hint: "give a tag or none", status: Failure.usage)
            }
            guard platform == nil || !all else {
                throw Failure("--all and --platform exclude each other", hint: "give one of them", status: Failure.usage)
            }
            let chosen = try platform.map { try Self.parse($0) }
            let tag: Tag? = if from.digest != nil, from.tag == nil { to.tag } else { try to.tag ?? from.tag ?? Tag(parsing: "latest") }
            let reference: ManifestReference =
                if let digest = from.digest { .digest(digest) } else { .tag(try from.tag ?? Tag(parsing: "latest")) }
            let progress = TransferProgress(isShown: !json)
            let result = try await withRegistries { registries in
                try await registries.registry(host).copy(
                    reference, of: from.repository, from: registries.registry(sourceHost), to: to.repository, tag: tag,
                    platform: chosen, referrers: referrers, progress: progress.report)
            }
            let summary = progress.finish()
            if json { return try printJSON(Value(result, destination: to, tag: tag)) }
            let digest = result.image.digest
            print("Copied \(to.registry ?? "")/\(to.repository)\(tag.map { ":\($0)" } ?? "")\n\(digest)")
            writeError(
                result.image.wasUpToDate
                    ? "it was there already" : "\(result.image.blobsUploaded) blobs sent, \(result.image.blobsAlreadyThere) already there\(summary)")
            if referrers { writeError("\(result.referrers) referrers") }
        }

        private struct Value: Encodable {
            var reference: String
            var digest: Digest
            var blobsSent: Int
            var blobsAlreadyThere: Int
            var bytesSent: Int64
            var referrers: Int

            init(_ result: CopyResult, destination: ImageReference, tag: Tag?) {
                reference = "\(destination.registry ?? "")/\(destination.repository)\(tag.map { ":\($0)" } ?? "")"
                digest = result.image.digest
                (blobsSent, blobsAlreadyThere) = (result.image.blobsUploaded, result.image.blobsAlreadyThere)
                (bytesSent, referrers) = (result.image.bytesUploaded, result.referrers)
            }
        }

        private static func parse(_ text: String) throws -> Platform {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else {
                throw Failure("--platform \(text)", hint: "write OS/ARCHITECTURE, as in linux/arm64", status: Failure.usage)
            }
            return Platform(architecture: parts[1], os: parts[0], variant: parts.count == 3 ? parts[2] : nil)
        }
    }
}
