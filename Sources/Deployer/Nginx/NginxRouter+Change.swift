import BlockingQueue
import Glibc
import SystemPackage

/// The writing half: called by one caller at a time.
extension NginxRouter {
    private var routesFile: FilePath { folder.appending("routes.json") }
    /// Generations whose files are kept, to look back and to go back.
    private static let kept = 8

    func load() async throws -> RouteTable { try await queue.run { _ in try RouteTable.load(routesFile) } }

    /// Puts a changed table in force; an unchanged one only makes sure that nginx runs.
    func change(_ edit: (RouteTable) throws -> RouteTable) async throws -> RouterGeneration {
        let old = try await load()
        var new = try edit(old)
        guard new != old else {
            try await ensureRunning()
            return RouterGeneration(old.generation)
        }
        let text = Array(NginxConfiguration(settings: settings, table: new, user: workerUser).render().utf8)
        let draft = "conf/\(new.generation).conf"
        try await queue.run { _ in
            try makeFolders()
            try write(text, draft)
        }
        try await process.test(draft)

        let master = process.master()
        let workers = master.map(process.workers(of:)) ?? []
        new.replaced[new.generation] = workers.map(\.pid)
        new.replaced = new.replaced.filter { $0.key > new.generation - Self.kept }
        let table = new
        try await queue.run { _ in
            try table.save(routesFile)
            try write(text, "nginx.conf")
        }
        if let master {
            await askOver(old.generation)
            rotateLog()
            try process.reload(master)
        } else {
            try await process.start()
        }
        tidy(before: new.generation)
        return RouterGeneration(new.generation)
    }

    /// Starts nginx when it does not run.
    func ensureRunning() async throws {
        guard process.master() == nil else { return }
        let table = try await load()
        try await writeCurrent(table)
        try await process.test("nginx.conf")
        try await process.start()
    }

    /// Makes a running nginx read the routes again: for changes whose signal never went out.
    func converge() async throws {
        guard let master = process.master() else { return try await ensureRunning() }
        var table = try await load()
        table.replaced[table.generation, default: []] += process.workers(of: master).map(\.pid)
        try await writeCurrent(table)
        try process.reload(master)
    }

    private func writeCurrent(_ table: RouteTable) async throws {
        try await queue.run { _ in
            try makeFolders()
            unlink(folder.appending(NginxConfiguration.flagFile(table.generation)).string)
            try table.save(routesFile)
            let text = NginxConfiguration(settings: settings, table: table, user: workerUser).render()
            try write(Array(text.utf8), "nginx.conf")
        }
    }

    /// Lets answers of the old generation close their connections for a moment: see ``NginxConfiguration``.
    private func askOver(_ generation: Int) async {
        let flag = folder.appending(NginxConfiguration.flagFile(generation))
        guard settings.handover > .zero,
            let file = try? FileDescriptor.open(
                flag, .writeOnly, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
        else { return }
        try? file.close()
        try? await Task.sleep(for: settings.handover)
    }

    /// A reload opens the logs anew, so this is the moment to keep them from growing for ever.
    private func rotateLog() {
        for name in ["access.log", "error.log"] {
            let path = folder.appending(name).string
            var status = stat()
            if stat(path, &status) == 0, status.st_size > 64 << 20 { rename(path, path + ".1") }
        }
    }

    private func tidy(before generation: Int) {
        let old = generation - Self.kept
        guard old >= 0 else { return }
        unlink(folder.appending("conf/\(old).conf").string)
        unlink(folder.appending(NginxConfiguration.flagFile(old)).string)
    }

    /// Root's workers give their rights away; they only need to pass through the folder and write into `temp`.
    private var workerUser: String? { geteuid() == 0 ? "nobody nogroup" : nil }

    func makeFolders() throws {
        for (name, mode) in [("", 0o711), ("conf", 0o700), ("handover", 0o711), ("temp", 0o711)] as [(String, mode_t)] {
            let path = name.isEmpty ? folder : folder.appending(name)
            guard mkdir(path.string, mode) == 0 || errno == EEXIST, chmod(path.string, mode) == 0 else {
                throw unusable(path, Errno(rawValue: errno))
            }
        }
    }

    private func write(_ bytes: [UInt8], _ name: String) throws {
        do {
            try AtomicFile.write(bytes, to: folder.appending(name))
        } catch {
            throw unusable(folder.appending(name), error)
        }
    }

    private func unusable(_ path: FilePath, _ error: any Error) -> DeployerError {
        DeployerError(
            .stateUnusable, "\(path) cannot be written: \(error)", hint: "check free space and permissions of the folder")
    }
}
