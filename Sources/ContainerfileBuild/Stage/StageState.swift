import OCIModel

/// The image as far as a stage has come.
struct StageState: Sendable {
    var platform: Platform
    var author: String?
    var execution: ExecutionConfig
    var layers: [BuiltLayer]
    var history: [History]
    /// The image at the root of it all; nil for scratch.
    var base: (name: String, digest: Digest)?

    var workingDirectory: String {
        guard let folder = execution.workingDir, !folder.isEmpty else { return "/" }
        return folder.hasPrefix("/") ? folder : "/" + folder
    }

    /// An absolute path, without `.` and `..`; a trailing slash stays.
    func absolute(_ path: String) -> String {
        var names: [Substring] = []
        for name in (path.hasPrefix("/") ? path : "\(workingDirectory)/\(path)").split(separator: "/") where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        let isFolder = path.isEmpty || path.hasSuffix("/") || path == "." || path.hasSuffix("/.")
        return "/" + names.joined(separator: "/") + (isFolder && !names.isEmpty ? "/" : "")
    }

    var shell: [String] {
        guard let shell = execution.shell, !shell.isEmpty else { return ["/bin/sh", "-c"] }
        return shell
    }
}
