import BlockingQueue
import ContainerRuntime
import Containerfile
import Glibc
import OCIModel
import SystemPackage

/// A mount and the file tree its `from` names, or nil for the build context.
struct MountPlan: Sendable {
    var mount: Mount
    var origin: [BuiltLayer]?
}

extension BuildSession {
    /// Makes everything the mounts need, lends it, and takes it away again.
    func withMounts<T: Sendable>(
        _ plans: ArraySlice<MountPlan>, _ prepared: RunMounts = RunMounts(),
        _ body: @Sendable (RunMounts) async throws -> T
    ) async throws -> T {
        guard let plan = plans.first else { return try await body(prepared) }
        let rest = plans.dropFirst()
        switch plan.mount {
        case .tmpfs(let target, let size):
            var next = prepared
            next.memory.append(.init(destination: target, sizeBytes: size))
            return try await withMounts(rest, next, body)
        case .secret(let secret):
            return try await withMounts(rest, try adding(secret, to: prepared), body)
        case .ssh(let ssh):
            return try await withMounts(rest, try adding(ssh, to: prepared), body)
        case .bind(let bind):
            return try await withSource(bind.source, of: plan.origin) { source in
                var next = prepared
                next.binds.append(.init(source: source.string, destination: bind.target, readOnly: bind.isReadOnly))
                return try await self.withMounts(rest, next, body)
            }
        case .cache(let cache):
            return try await withCache(cache, origin: plan.origin) { folder in
                var next = prepared
                next.binds.append(.init(source: folder.string, destination: cache.target, readOnly: cache.isReadOnly))
                return try await self.withMounts(rest, next, body)
            }
        }
    }

    private func adding(_ secret: SecretMount, to prepared: RunMounts) throws -> RunMounts {
        guard let value = request.secrets[secret.id] else {
            if !secret.isRequired { return prepared }
            throw ContainerfileBuildError(
                .notFound, "the secret '\(secret.id)' was not given to the build", hint: "give it with --secret id=\(secret.id),src=FILE")
        }
        var next = prepared
        if let target = secret.target {
            next.files.append(
                .init(destination: target, content: value, mode: secret.mode, uid: secret.uid, gid: secret.gid))
        }
        if let variable = secret.variable {
            guard let text = String(validating: value, as: UTF8.self), !value.contains(0) else {
                throw ContainerfileBuildError(
                    .invalidValue, "the secret '\(secret.id)' is not text, so \(variable) cannot hold it", hint: "mount it as a file: use target=")
            }
            next.environment.append("\(variable)=\(text)")
        }
        return next
    }

    private func adding(_ ssh: SSHMount, to prepared: RunMounts) throws -> RunMounts {
        guard let socket = request.agents[ssh.id] else {
            if !ssh.isRequired { return prepared }
            throw ContainerfileBuildError(
                .notFound, "the SSH agent '\(ssh.id)' was not given to the build", hint: "give it with --ssh \(ssh.id)=SOCKET")
        }
        guard ssh.uid == 0, ssh.gid == 0 else {
            throw ContainerfileBuildError(
                .unsupported, "uid and gid of --mount=type=ssh are not supported: the agent's socket keeps its owner",
                hint: "use the agent in a RUN as root")
        }
        var status = stat()
        guard stat(socket.string, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
            throw ContainerfileBuildError(.notFound, "\(socket) is no socket of an SSH agent", hint: "is the agent running?")
        }
        var next = prepared
        let number = prepared.environment.count { $0.hasPrefix("SSH_AUTH_SOCK=") }
        let target = ssh.target ?? "/run/buildkit/ssh_agent.\(number)"
        next.binds.append(.init(source: socket.string, destination: target))
        if number == 0 { next.environment.append("SSH_AUTH_SOCK=\(target)") }
        return next
    }

    /// Lends a file or folder of the build context (as a copy: what is ignored is not in it) or of a file tree. What is
    /// written there is thrown away.
    private func withSource<T: Sendable>(
        _ name: String, of origin: [BuiltLayer]?, _ body: @Sendable (FilePath) async throws -> T
    ) async throws -> T {
        if let origin {
            return try await withRoot(of: origin) { mounted in
                let root = TreeRoot(path: mounted.root)
                let found = try await self.queue.run { _ in try self.existing(name, in: root).real }
                return try await body(root.full(found))
            }
        }
        return try await withRoot(of: []) { mounted in
            let root = TreeRoot(path: mounted.root)
            let place = try await self.queue.run { cancellation in
                let tree = try self.contextTree(name, cancellation)
                try TreeWriter(root: root, time: self.request.timestamp, isCancelled: { cancellation.isCancelled })
                    .write([tree], to: "/tree", isFolder: !tree.isFolder)
                return tree.isFolder ? "tree" : "tree/\(tree.name)"
            }
            return try await body(root.full(place))
        }
    }

    /// What a bind mount of the context shows. Blocking.
    func contextTree(_ name: String, _ cancellation: Cancellation) throws -> CopyTree {
        let found = try context.find(name)
        return try context.reader { cancellation.isCancelled }.tree(found)
    }

    private func existing(_ name: String, in root: TreeRoot) throws -> TreeRoot.Found {
        let found = try root.find(name)
        guard found.status != nil else {
            throw ContainerfileBuildError(.notFound, "\(name) is not there, and cannot be mounted", hint: "check 'source' and 'from'")
        }
        return found
    }

    private func withCache<T: Sendable>(
        _ mount: CacheMount, origin: [BuiltLayer]?, _ body: @Sendable (FilePath) async throws -> T
    ) async throws -> T {
        let folders = CacheFolders(root: parts.folder.appending("mounts"))
        let opened: OpenCache
        if let origin {
            opened = try await withRoot(of: origin) { mounted in
                try await self.queue.run { cancellation in
                    let root = TreeRoot(path: mounted.root)
                    let tree = try CopyTreeReader(root: root).tree(try self.existing(mount.source, in: root))
                    return try OpenCache(
                        folders.open(mount, cancellation: cancellation) { folder in
                            try TreeWriter(root: TreeRoot(path: folder), time: 0).write([tree], to: "/", isFolder: true)
                        })
                }
            }
        } else {
            // Waiting for another build's lock must not hold up the session's queue.
            opened = try await parts.waiting.run { cancellation in
                try OpenCache(folders.open(mount, cancellation: cancellation) { _ in })
            }
        }
        let result: Result<T, any Error>
        do { result = .success(try await body(opened.folder)) } catch { result = .failure(error) }
        try opened.lock.close()
        return try result.get()
    }

    private struct OpenCache: Sendable {
        let folder: FilePath
        let lock: FileDescriptor
        init(_ pair: (folder: FilePath, lock: FileDescriptor)) { (folder, lock) = pair }
    }
}
