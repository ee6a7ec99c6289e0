import Foundation
import SystemPackage

/// buildah(1) with a storage of its own, as a judge of what Containerfiles mean.
struct Buildah {
    let folder: FilePath
    private var command: String { "buildah --storage-driver vfs --root \(folder)/storage --runroot \(folder)/run" }

    /// Takes over the base image from a folder with its root file system.
    init(folder: FilePath, base: FilePath, name: String) async throws {
        self.folder = folder
        let text = "FROM scratch\nCOPY . /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD [\"/bin/sh\"]\n"
        try await shell("mkdir -p \"$0\" && printf %s \"$1\" > \"$0/base\"", folder.string, text)
        try await shell("\(command) bud --isolation chroot --timestamp 0 -q -t \(name) -f \(folder)/base \(base)")
    }

    /// Builds a case; returns the root of a container of the image, and the image's config.
    func build(_ item: CorpusCase, context: FilePath) async throws -> (root: FilePath, config: [String: JSONValue]) {
        let options = try item.options
        var flags = (options.arguments ?? [:]).map { "--build-arg '\($0.key)=\($0.value)'" }
        for (id, value) in options.secrets ?? [:] {
            let file = folder.appending("secret-\(item.name)-\(id)")
            try Data(value.utf8).write(to: URL(fileURLWithPath: file.string))
            flags.append("--secret id=\(id),src=\(file)")
        }
        if let target = options.target { flags.append("--target \(target)") }
        try await shell(
            "\(command) bud --isolation chroot --format docker --timestamp 0 -q \(flags.joined(separator: " ")) "
                + "-t \(item.name) -f \(context)/Containerfile \(context)")
        let root: String
        if try String(contentsOfFile: "\(context)/Containerfile", encoding: .utf8).contains("ONBUILD") {
            // A container of the image would run its triggers: its tree is written out instead.
            root = folder.appending("tree-\(item.name)").string
            try await shell(
                "\(command) bud --isolation chroot --timestamp 0 -q -o type=local,dest=\(root) -f \(context)/Containerfile \(context)")
        } else {
            try await shell("\(command) from --pull-never --name of-\(item.name) \(item.name)")
            root = try await shell("\(command) mount of-\(item.name)")
        }
        let text = try await shell("\(command) inspect --type image \(item.name)")
        struct Inspection: Decodable {
            struct Image: Decodable { var config: [String: JSONValue] }
            var Docker: Image
        }
        return (FilePath(root), try JSONDecoder().decode(Inspection.self, from: Data(text.utf8)).Docker.config)
    }

    func close() async { _ = try? await shell("\(command) umount --all; rm -rf \(folder)") }
}
