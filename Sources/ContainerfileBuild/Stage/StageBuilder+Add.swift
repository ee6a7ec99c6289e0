import BlockingQueue
import Containerfile
import Glibc
import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// A source of ADD that is not simply copied.
private enum AddSource: Sendable {
    /// To be fetched when the step is done.
    case url(String, name: String?, checksum: Digest)
    /// Fetched already, as its bytes decide whether the step was done before.
    case fetched(CopyTree)
    case git(url: String, commit: String, folder: String)
    case local(CopyTree)
}

extension StageBuilder {
    mutating func perform(_ add: AddInstruction, _ step: BuildStep) async throws -> BuildEvent.Outcome {
        let request = try expanded(add.destination, add.options)
        let (paths, documents) = try expanded(add.sources)
        var key = self.key("ADD", request, paths)
        let checksum = try add.checksum.map { try $0.expanded(in: variables) }
        key.add("checksum", checksum ?? "")
        key.add("unpack", add.unpacks.map { "\($0)" } ?? "")
        var sources: [AddSource] = []
        for path in paths {
            switch try AddOrigin(parsing: path) {
            case .local(let path):
                if checksum != nil {
                    throw ContainerfileBuildError(.invalidValue, "--checksum is for URLs and git repositories, '\(path)' is a file of the context")
                }
                for tree in try await session.contextTrees(path, request) { sources.append(.local(tree)) }
            case .http(let url, let name): sources.append(try await session.remote(url, name, checksum))
            case .git(let git):
                guard add.keepsGitDirectory ?? git.keepsGitDirectory != true else {
                    throw ContainerfileBuildError(
                        .unsupported, "--keep-git-dir is not supported: only a commit's files are added", hint: "clone it in a RUN")
                }
                sources.append(try await session.repository(git, checksum))
            }
        }
        for document in documents {
            sources.append(
                .local(.file(document.name, document.content, seconds: session.request.timestamp, in: session.context.root)))
        }
        for source in sources {
            switch source {
            case .url(let url, _, let checksum): key.add("url", [url, checksum.description])
            case .git(let url, let commit, let folder): key.add("git", [url, commit, folder])
            case .local(let tree), .fetched(let tree):
                key.add("content", try await session.queue.run { cancellation in try tree.digest { cancellation.isCancelled } })
            }
        }
        let (session, unpacks, all) = (session, add.unpacks, sources)
        return try await write(request, key, step) { body in
            var trees: [CopyTree] = []
            for source in all { trees.append(try await session.resolved(source, unpacks: unpacks)) }
            return try await body(trees)
        }
    }
}

extension BuildSession {
    fileprivate func contextTrees(_ path: String, _ request: CopyRequest) async throws -> [CopyTree] {
        try await queue.run { cancellation in
            try self.sources(self.context.root, isContext: true, request) { cancellation.isCancelled }.trees([path])
        }
    }

    fileprivate func remote(_ url: String, _ name: String?, _ checksum: String?) async throws -> AddSource {
        guard let checksum else { return .fetched(try await fetch(url, name)) }
        guard let digest = try? Digest(parsing: checksum) else {
            throw ContainerfileBuildError(.invalidValue, "'\(checksum)' is no checksum", hint: "write sha256: and 64 hexadecimal digits")
        }
        return .url(url, name: name, checksum: digest)
    }

    fileprivate func repository(_ git: GitOrigin, _ flag: String?) async throws -> AddSource {
        guard let repositories = parts.repositories else {
            throw ContainerfileBuildError(.unsupported, "ADD of a git repository is not possible here", hint: "put the files into the build context")
        }
        let commit = try await repositories.commit(of: git.remote, reference: git.reference)
        if let checksum = flag ?? git.checksum, commit != checksum, !(checksum.count >= 7 && commit.hasPrefix(checksum)) {
            throw ContainerfileBuildError(
                .checksumMismatch, "\(git.remote) is at commit \(commit), not at \(checksum)",
                hint: "somebody moved the branch or tag; check what is there")
        }
        return .git(url: git.remote, commit: commit, folder: git.folder ?? "")
    }

    fileprivate func resolved(_ source: AddSource, unpacks: Bool?) async throws -> CopyTree {
        switch source {
        case .url(let url, let name, let checksum):
            let tree = try await fetch(url, name)
            let found = try await queue.run { _ in try tree.contentDigest() }
            guard found == checksum else {
                throw ContainerfileBuildError(
                    .checksumMismatch, "\(url) has checksum \(found), not \(checksum)",
                    hint: "the file changed, or somebody else answered; check it before you trust it")
            }
            return unpacks == true ? try await unpacked(tree) : tree
        case .fetched(let tree): return unpacks == true ? try await unpacked(tree) : tree
        case .local(let tree): return unpacks == false ? tree : try await unpacked(tree)
        case .git(let url, let commit, let folder): return try await checkedOut(url, commit, folder)
        }
    }

    /// The file as a tree whose only item is it: mode 0600, its server's time.
    private func fetch(_ url: String, _ name: String?) async throws -> CopyTree {
        guard let files = parts.files else {
            throw ContainerfileBuildError(.unsupported, "ADD of '\(url)' is not possible here", hint: "put the file into the build context")
        }
        let path = newTemporary()
        let time = try await files.fetch(url, to: path, limit: 64 << 30)
        let item = CopyTree.Item(
            name: "", kind: .file(path.lastComponent?.string ?? ""), mode: 0o600, uid: 0, gid: 0,
            seconds: Int(time ?? request.timestamp), nanoseconds: 0, attributes: [:])
        return CopyTree(root: TreeRoot(path: temporary), name: name ?? "index.html", isFolder: false, items: [item])
    }

    /// The content of an archive; the tree itself when it is none.
    private func unpacked(_ tree: CopyTree) async throws -> CopyTree {
        guard !tree.isFolder, let item = tree.items.first, case .file(let real) = item.kind else { return tree }
        let (folder, plain) = (newTemporary(), newTemporary())
        let limits = parts.store.limits
        return try await queue.run { cancellation in
            let file = tree.root.full(real)
            guard try PackedArchive.isArchive(file) else { return tree }
            guard mkdir(folder.string, 0o755) == 0 else { throw ContainerfileBuildError.system("make", folder) }
            try PackedArchive.extract(file, to: folder, temporary: plain, limits: limits) { cancellation.isCancelled }
            let root = TreeRoot(path: folder)
            return try CopyTreeReader(root: root, isCancelled: { cancellation.isCancelled }).tree(try root.find(""))
        }
    }

    private func checkedOut(_ url: String, _ commit: String, _ name: String) async throws -> CopyTree {
        guard let repositories = parts.repositories else {
            throw ContainerfileBuildError(.unsupported, "ADD of a git repository is not possible here")
        }
        let folder = newTemporary()
        guard mkdir(folder.string, 0o755) == 0 else { throw ContainerfileBuildError.system("make", folder) }
        try await repositories.checkOut(url, commit: commit, into: folder)
        return try await queue.run { _ in
            let root = TreeRoot(path: folder)
            let found = try root.find(name)
            guard found.isFolder else {
                throw ContainerfileBuildError(.notFound, "\(url) has no folder '\(name)' at \(commit)")
            }
            return try CopyTreeReader(root: root, owner: (0, 0)).tree(found)
        }
    }
}

extension CopyTree {
    /// The digest of a single file's bytes. Blocking.
    func contentDigest() throws -> Digest {
        guard case .file(let real) = items.first?.kind else { return Digest.sha256([]) }
        return try Self.digest(of: real, in: root) { false }
    }
}
