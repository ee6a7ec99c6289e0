import BlockingQueue
import Glibc
import SystemPackage

/// The writing half: called by one caller at a time.
extension RouterDaemon {
    var routesFile: FilePath { folder.appending("routes.json") }
    private var lock: FilePath { folder.appending("routes.lock") }
    /// Generations whose files are kept, to look back and to go back.
    private static let kept = 8

    func load() async throws -> RouteTable { try await queue.run { _ in try RouteTable.load(routesFile) } }

    /// Puts a changed table in force; an unchanged one only makes sure that the program runs. Returns what is in force then.
    func change(_ edit: @Sendable (RouteTable) throws -> RouteTable) async throws -> (table: RouteTable, generation: RouterGeneration) {
        while true {
            let old = try await load()
            let new = try edit(old)
            guard new.generation != old.generation else {
                guard try await keep(new, insteadOf: old) else { continue }
                try await ensureRunning()
                return (new, RouterGeneration(old.generation))
            }
            let text = Array(program.render(new).utf8)
            // A name of its own: another process may be about to make the same generation.
            let draft = "conf/\(new.generation).\(String(UInt64.random(in: 0 ... .max), radix: 36)).conf"
            try await queue.run { _ in
                try makeFolders()
                try write(text, draft)
            }
            try await locked {
                for (name, text) in program.attachments(new) where !exists(name) { try write(Array(text.utf8), name) }
            }
            try await program.test(draft)

            let master = program.master()
            let staysUp = master != nil && program.canAdjust(from: old, to: new)
            guard let table = try await putInForce(new, draft: draft, insteadOf: old, of: master, staysUp) else { continue }
            if let master {
                if staysUp {
                    if try await !program.adjust(from: old, to: table) { try await converge() }
                } else {
                    if program.handover > .zero { await program.askOver(generation: old.generation) }
                    try await program.reload(master)
                }
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
    private func putInForce(
        _ new: RouteTable, draft: String, insteadOf old: RouteTable, of master: Int32?, _ staysUp: Bool
    )
        async throws -> RouteTable?
    {
        try await locked {
            let path = folder.appending(draft)
            guard try RouteTable.load(routesFile) == old else {
                unlink(path.string)
                return nil
            }
            var new = new
            let workers = master.map(program.workers(of:)) ?? []
            new.replaced[new.generation] = workers.filter { !staysUp || $0.leaving }.map(\.pid)
            new.replaced = new.replaced.filter { $0.key > new.generation - Self.kept }
            try new.save(routesFile)
            let text = try AtomicFile.read(path) ?? []
            guard rename(path.string, folder.appending("conf/\(new.generation).conf").string) == 0 else {
                throw unusable(path, Errno(rawValue: errno))
            }
            try keepPrevious()
            try write(text, program.configuration)
            try attach(new)
            return new
        }
    }

    /// Starts the program when it does not run.
    func ensureRunning() async throws {
        guard program.master() == nil else { return }
        try await queue.run { _ in try makeFolders() }
        try await ProcessLock.holding(folder.appending("start.lock"), on: queue) {
            // Another process may have been faster.
            guard program.master() == nil else { return }
            try await locked { try writeCurrent(try RouteTable.load(routesFile)) }
            try await program.test(program.configuration)
            let others = try await retireOthers()
            let orphans = try program.dismissOrphans()
            for _ in 0..<(others || orphans ? 100 : 0) {
                do {
                    return try await program.start()
                } catch let error as DeployerError where error.code == .portTaken {
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            try await program.start()
        }
    }

    /// Ends routers of other kinds that were on this folder before; they finish the requests they have.
    func retireOthers() async throws -> Bool {
        let settings = RouterSettings(listenPort: program.listenPort)
        let all: [any RouterProgram] = [
            NginxProcess(folder: folder, settings: settings), HAProxyProcess(folder: folder, settings: settings, queue: queue),
        ]
        let others = all.filter { $0.configuration != program.configuration }.compactMap { other in other.master().map { (other, $0) } }
        for (other, master) in others { try await other.quit(master) }
        return !others.isEmpty
    }

    /// Makes a running program read the routes again: for changes whose signal never went out.
    func converge() async throws {
        guard let master = program.master() else { return try await ensureRunning() }
        // Clients move before the workers go, as with every change; whoever was to ask them may have been killed.
        if program.handover > .zero, let running = try? await answeringGeneration() { await program.askOver(generation: running) }
        try await locked {
            var table = try RouteTable.load(routesFile)
            table.replaced[table.generation, default: []] += program.workers(of: master).map(\.pid)
            try writeCurrent(table)
        }
        try await program.reload(master)
    }

    private func locked<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await queue.run { _ in
            try makeFolders()
            return try ProcessLock.holding(lock, body)
        }
    }

    /// For people: what was in force before.
    private func keepPrevious() throws {
        let current = folder.appending(program.configuration)
        let previous = folder.appending(program.configuration + ".previous")
        let link = previous.string + ".new"
        unlink(link)
        guard Glibc.link(current.string, link) == 0 else {
            if errno == ENOENT { return }
            throw unusable(previous, Errno(rawValue: errno))
        }
        guard rename(link, previous.string) == 0 else { throw unusable(previous, Errno(rawValue: errno)) }
    }

    private func writeCurrent(_ table: RouteTable) throws {
        program.forget(generation: table.generation)
        try table.save(routesFile)
        try write(Array(program.render(table).utf8), program.configuration)
        try attach(table)
    }

    private func attach(_ table: RouteTable) throws {
        for (name, text) in program.attachments(table) { try write(Array(text.utf8), name) }
    }

    private func exists(_ name: String) -> Bool { access(folder.appending(name).string, F_OK) == 0 }

    private func tidy(before generation: Int) {
        let old = generation - Self.kept
        guard old >= 0 else { return }
        unlink(folder.appending("conf/\(old).conf").string)
        program.forget(generation: old)
    }

    /// Makes the folders, away from the cooperative pool.
    func prepare() async throws { try await queue.run { _ in try makeFolders() } }

    func makeFolders() throws {
        for (name, mode) in [("", 0o711), ("conf", 0o700), ("tls", 0o700)] + program.folders {
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
