import BlockingQueue
import CLibgit2
public import SystemPackage

extension GitMirror {
    /// Writes the files of a commit into `folder`, which is made when missing and must be empty.
    ///
    /// Files get mode 0644 or 0755, folders 0755, and everything the commit's time. No filter, attribute or hook of git runs.
    /// Symbolic links are written when they stay inside the folder, followed through one another. Refused, before anything is written
    /// and with the path in the message: links that may leave it, submodules, names that mean `.git`, malformed trees (`.refused`),
    /// and what is beyond `limits` (`.tooLarge`). After another failure or a cancellation the folder holds part of the files.
    public func export(_ id: CommitID, to folder: FilePath, limits: ExportLimits = ExportLimits()) async throws {
        try await withRepository { repository, cancellation in
            let time = try GitMirror.lendCommit(id, in: repository) { git_commit_time($0) }
            let plan = try GitMirror.lendTree(of: id, in: repository) { tree in
                try lend("cannot open the objects", open: { git_repository_odb(&$0, repository) }, free: git_odb_free) {
                    try ExportPlan(tree: tree, in: repository, objects: $0, limits: limits, cancellation: cancellation)
                }
            }
            var writer = try WorkspaceWriter(folder: folder, time: time)
            for step in plan.steps {
                if cancellation.isCancelled { throw CancellationError() }
                switch step {
                case .enter(let name): try writer.enter(name)
                case .leave: try writer.leave()
                case .symlink(let name, let target): try writer.symlink(name, target: target)
                case .file(let name, let blob, let executable):
                    try GitMirror.lendBlob(blob, in: repository, limit: limits.fileBytes, name: name.shown) {
                        try writer.file(name, $0, executable: executable)
                    }
                }
            }
            try writer.leave()
        }
    }
}
