import ContainerRuntime
import Foundation
import SystemPackage

/// The files of one run and what its steps left of them, batch by batch.
///
/// A batch is the steps that ran between two moments at which none did. The first one works in the checkout itself; before each
/// later one begins a layer is put above what the batch before left, which is from then on known and never written again.
struct RunWorkspace {
    /// `runs/<id>`.
    let folder: FilePath
    let layered: LayeredFolder

    init(folder: FilePath) {
        self.folder = folder
        layered = LayeredFolder(tree: folder.appending("workspace"), layers: folder.appending("layers"))
    }

    /// What steps and the build of the image see.
    var tree: FilePath { folder.appending("workspace") }
    private var layers: FilePath { folder.appending("layers") }
    /// What is being removed: half of it must not pass for the whole.
    private var removed: FilePath { folder.appending("removed") }
    private func record(_ layer: Int) -> FilePath { layers.appending("\(layer)").appending("steps.json") }

    /// Whether the files are there.
    var exists: Bool { FileSystem.exists(tree) }
    /// Whether anything is there, be it the rest of a removal.
    var isGone: Bool { ![tree, layers, removed].contains(where: FileSystem.exists) }

    /// The steps of each batch that is complete, oldest first.
    func batches() throws -> [[String]] {
        var batches: [[String]] = []
        while FileSystem.exists(record(batches.count)) {
            let data = try Data(contentsOf: URL(filePath: record(batches.count).string))
            batches.append(try JSONDecoder().decode([String].self, from: data))
        }
        return batches
    }

    /// Ends a batch: what `steps` left is kept as it is, further changes go above it. Safe to repeat when it was cut off.
    func close(batch steps: [String]) async throws {
        let done = try batches().count
        try FileSystem.makeFolder(record(done).removingLastComponent())
        try FileSystem.replace(record(done), with: JSONEncoder().encode(steps))
        try await open()
    }

    /// Makes ``tree`` show all layers, also after a restart of server or machine.
    func open() async throws {
        let done = try batches().count
        guard done > 0 else { return }
        if layered.isMounted, FileSystem.exists(layered.upper(done)) { return }
        if !FileSystem.exists(layered.upper(0)) { try FileSystem.move(tree, to: layered.upper(0)) }
        try await layered.mount(top: done)
    }

    /// The longest row of batches with nothing but `allowed` in them.
    ///
    /// - Parameter started: all steps of the run that ever began in it.
    func known(among allowed: Set<String>, started: Set<String>) throws -> [[String]] {
        var all = try batches()
        let last = started.subtracting(all.joined())
        if !last.isEmpty { all.append(last.sorted()) }
        return Array(all.prefix { allowed.isSuperset(of: $0) })
    }

    /// Begins with what `batches` of a run that is over left. Nothing of that run is changed or needed afterwards.
    func begin(with batches: [[String]], of other: RunWorkspace) async throws {
        try await remove()
        for (number, steps) in batches.enumerated() {
            let layer = other.layered.upper(number)
            try await layered.link(FileSystem.exists(layer) ? layer : other.tree, to: layered.upper(number))
            try FileSystem.replace(record(number), with: JSONEncoder().encode(steps))
        }
        try FileSystem.makeFolder(tree)
        try await open()
    }

    /// The run is over: its files stay, but nobody sees them.
    func rest() async throws { try await layered.unmount() }

    func remove() async throws {
        try await layered.unmount()
        try FileSystem.remove(removed)
        for path in [tree, layers] where FileSystem.exists(path) {
            try FileSystem.move(path, to: removed)
            try FileSystem.remove(removed)
        }
    }
}
