import Foundation
import SystemPackage

/// buildah(1) with a storage of its own, as a judge of what Containerfiles mean.
struct Buildah {
    let folder: FilePath
    private var command: String { "buildah --storage-driver vfs --root \(folder)/storage --runroot \(folder)/run" }

    /// Takes over the base image from a folder with its root file system.
    init(folder: FilePath, base: FilePath, name: String) throws {
        self.folder = folder
        let text = "FROM scratch\nCOPY . /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD [\"/bin/sh\"]\n"
        try shell("mkdir -p \"$0\" && printf %s \"$1\" > \"$0/base\"", folder.string, text)
        try shell("\(command) bud --isolation chroot --timestamp 0 -q -t \(name) -f \(folder)/base \(base)")
    }

    /// Builds a case; returns the root of a container of the image, and the image's config.
    func build(_ item: CorpusCase, context: FilePath) throws -> (root: FilePath, config: [String: JSONValue]) {
        let options = try item.options
        var flags = (options.arguments ?? [:]).map { "--build-arg '\($0.key)=\($0.value)'" }
        for (id, value) in options.secrets ?? [:] {
            let file = folder.appending("secret-\(item.name)-\(id)")
            try Data(value.utf8).write(to: URL(fileURLWithPath: file.string))
            flags.append("--secret id=\(id),src=\(file)")
        }
        if let target = options.target { flags.append("--target \(target)") }
        try shell(
            "\(command) bud --isolation chroot --format docker --timestamp 0 -q \(flags.joined(separator: " ")) "
                + "-t \(item.name) -f \(context)/Containerfile \(context)")
        try shell("\(command) from --pull-never --name of-\(item.name) \(item.name)")
        let root = try shell("\(command) mount of-\(item.name)")
        let text = try shell("\(command) inspect --type image \(item.name)")
        struct Inspection: Decodable {
            struct Image: Decodable { var config: [String: JSONValue] }
            var Docker: Image
        }
        return (FilePath(root), try JSONDecoder().decode(Inspection.self, from: Data(text.utf8)).Docker.config)
    }

    func close() { _ = try? shell("\(command) umount --all; rm -rf \(folder)") }
}
