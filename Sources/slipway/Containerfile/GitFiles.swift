import BlockingQueue
import ContainerfileBuild
import GitRepository
import OCIModel
import SystemPackage

/// `ADD` of a git repository, by a mirror that the next build fetches into.
struct GitFiles: RemoteRepositories {
    let folder: FilePath
    private let queue = BlockingQueue(label: "containerfile-git", width: 2)

    init(folder: FilePath) { self.folder = folder }

    func commit(of url: String, reference: String?) async throws -> String {
        let mirror = mirror(url)
        _ = try await mirror.fetch(from: url)
        if let reference { return try await mirror.resolve(reference).hex }
        guard let branch = try await mirror.defaultBranch() else {
            throw Failure("\(GitURL.redacted(url)) has no default branch", hint: "name a branch or tag behind '#'")
        }
        return try await mirror.resolve(branch).hex
    }

    func checkOut(_ url: String, commit: String, into folder: FilePath) async throws {
        try await mirror(url).export(CommitID(parsing: commit), to: folder)
    }

    private func mirror(_ url: String) -> GitMirror {
        GitMirror(path: folder.appending(Digest.sha256(Array(url.utf8)).hex + ".git"), queue: queue)
    }
}
