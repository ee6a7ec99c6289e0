import BlockingQueue
import Glibc
import SystemPackage

/// The writing half: called by one caller at a time.
extension NginxRouter {
    var routesFile: FilePath { folder.appending("routes.json") }
    private var lock: FilePath { folder.appending("routes.lock") }
    /// Generations whose files are kept, to look back and to go back.
    private static let kept = 8

    func load() async throws -> RouteTable { try await queue.run { _ in try RouteTable.load(routesFile) } }

    /// Puts a changed table in force; an unchanged one only makes sure that nginx runs. Returns what is in force then.
    func change(_ edit: @Sendable (RouteTable) throws -> RouteTable) async throws -> (table: RouteTable, generation: RouterGeneration) {
        while true {
            let old = try await load()
            let new = try edit(old)
            guard new.generation != old.generation else {
                guard try await keep(new, insteadOf: old) else { continue }
                try await ensureRunning()
                return (new, RouterGeneration(old.generation))
            }
            let text = Array(NginxConfiguration(settings: settings, table: new, user: workerUser).render().utf8)
            // A name of its own: another process may be about to make the same generation.
            let draft = "conf/\(new.generation).\(String(UInt64.random(in: 0 ... .max), radix: 36)).conf"
            try await queue.run { _ in
                try makeFolders()
                try write(text, draft)
            }
            try await process.test(draft)

            let master = process.master()
            guard let table = try await putInForce(new, draft: draft, insteadOf: old, of: master) else { continue }
            if let master {
                await askOver(old.generation)
                try process.reload(master)
            } else {
                try await ensureRunning()
            }
            tidy(before: new.generation)
            return (table, RouterGeneration(new.generation))
        }
    }

    /// Keeps a table whose routes are as they were.
    func note(_ edit: @Sendable (RouteTable) throws -> RouteTable) async throws {
        while true {
            let old = try await load()
            if try await keep(try edit(old), insteadOf: old) { return }
        }
    }

    /// False when another process was faster.
    private func keep(_ new: RouteTable, insteadOf old: RouteTable) async throws -> Bool {
        if new == old { return true }
        return try await locked {
            guard try RouteTable.load(routesFile) == old else { return false }
            try new.save(routesFile)
            return true
        }
    }

    /// The new table as it is in force now; nil when another process was faster.
    private func putInForce(_ new: RouteTable, draft: String, insteadOf old: RouteTable, of master: Int32?) async throws -> RouteTable? {
        try await locked {
            let path = folder.appending(draft)
            guard try RouteTable.load(routesFile) == old else {
                unlink(path.string)
                return nil
            }
            var new = new
            new.replaced[new.generation] = master.map(process.workers(of:))?.map(\.pid) ?? []
            new.replaced = new.replaced.filter { $0.key > new.generation - Self.kept }
            try new.save(routesFile)
            let text = try AtomicFile.read(path) ?? []
            guard rename(path.string, folder.appending("conf/\(new.generation).conf").string) == 0 else {
                throw unusable(path, Errno(rawValue: errno))
            }
            try keepPrevious()
            try write(text, "nginx.conf")
            return new
        }
    }

    /// Starts nginx when it does not run.
    func ensureRunning() async throws {
        guard process.master() == nil else { return }
        try await queue.run { _ in try makeFolders() }
        try await ProcessLock.holding(folder.appending("start.lock"), on: queue) {
            // Another process may have been faster.
            guard process.master() == nil else { return }
            try await locked { try writeCurrent(try RouteTable.load(routesFile)) }
            try await process.test("nginx.conf")
            try await process.start()
        }
    }

    /// Makes a running nginx read the routes again: for changes whose signal never went out.
    func converge() async throws {
        guard let master = process.master() else { return try await ensureRunning() }
        try await locked {
            var table = try RouteTable.load(routesFile)
            table.replaced[table.generation, default: []] += process.workers(of: master).map(\.pid)
            try writeCurrent(table)
        }
        try process.reload(master)
    }

    private func locked<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await queue.run { _ in
            try makeFolders()
            return try ProcessLock.holding(lock, body)
        }
    }

    /// For people: what was in force before.
    private func keepPrevious() throws {
        let current = folder.appending("nginx.conf")
        let previous = folder.appending("nginx.conf.previous")
        let link = previous.string + ".new"
        unlink(link)
        guard Glibc.link(current.string, link) == 0 else {
            if errno == ENOENT { return }
            throw unusable(previous, Errno(rawValue: errno))
        }
        guard rename(link, previous.string) == 0 else { throw unusable(previous, Errno(rawValue: errno)) }
    }

    private func writeCurrent(_ table: RouteTable) throws {
        unlink(folder.appending(NginxConfiguration.flagFile(table.generation)).string)
        try table.save(routesFile)
        let text = NginxConfiguration(settings: settings, table: table, user: workerUser).render()
        try write(Array(text.utf8), "nginx.conf")
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
