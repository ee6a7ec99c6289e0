import Foundation

/// A root file system of Debian's busybox-static, as `scripts/base-images` makes it; the same bytes every time.
enum BaseImage {
    static func make(in folder: URL) async throws -> URL {
        let busybox = "/bin/busybox"
        guard FileManager.default.isExecutableFile(atPath: busybox) else {
            throw Failed("\(busybox) is missing: apt-get install busybox-static")
        }
        let root = folder.appendingPathComponent("root")
        for name in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "workspace"] {
            try FileManager.default.createDirectory(
                at: root.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: busybox, toPath: root.path + "/bin/busybox")
        for name in ["sh", "cat", "cp", "dd", "echo", "mkdir", "sleep", "wc", "base64", "httpd", "true", "false", "grep", "printf", "test", "wget"] {
            try FileManager.default.createSymbolicLink(
                atPath: root.path + "/bin/\(name)", withDestinationPath: "/bin/busybox")
        }
        try Data("root:x:0:0:root:/root:/bin/sh\n".utf8).write(to: root.appendingPathComponent("etc/passwd"))
        try Data("root:x:0:\n".utf8).write(to: root.appendingPathComponent("etc/group"))
        let file = folder.appendingPathComponent("busybox.tar")
        let packed = try await command(
            "/usr/bin/tar",
            ["--create", "--file", file.path, "--directory", root.path, "--sort=name", "--mtime=@1700000000", "--numeric-owner", "."])
        guard packed.status == 0 else { throw Failed(packed.errors) }
        return file
    }
}
