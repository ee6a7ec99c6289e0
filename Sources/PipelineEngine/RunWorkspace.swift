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
    /// What is being removed, under names of its own: half of it must not pass for the whole, and whoever still writes to it
    /// writes to nothing.
    private var removed: FilePath { folder.appending("removed") }
    /// What checkouts fill, by their epochs.
    private var staging: FilePath { folder.appending("checkout") }
    private func record(_ layer: Int) -> FilePath { layers.appending("\(layer)").appending("steps.json") }

    /// Whether the files are there.
    var exists: Bool { FileSystem.exists(tree) }
    /// Whether anything is there, be it the rest of a removal.
    var isGone: Bool { ![tree, layers, removed, staging].contains(where: FileSystem.exists) }

    /// The steps of each batch that is complete, oldest first.
    func batches() throws -> [[String]] {
        var batches: [[String]] = []
        while FileSystem.exists(record(batches.count)) {
            let data = try Data(contentsOf: URL(filePath: record(batches.count).string))
            batches.append(try JSONDecoder().decode([String].self, from: data))
        }
        return batches
    }

    /// Ends a batch: what `steps` left is kept as it is, further changes go above it. Safe to repeat when it was cut off or failed.
    func close(batch steps: [String]) async throws {
        let done = try batches()
        if done.last != steps {
            try FileSystem.makeFolder(record(done.count).removingLastComponent())
            try FileSystem.replace(record(done.count), with: JSONEncoder().encode(steps))
        }
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

    /// Fills an empty place with what `batches` of a run that is over left; ``open()`` shows it. Nothing of that run is changed or
    /// needed afterwards.
    func begin(with batches: [[String]], of other: RunWorkspace) async throws {
        for (number, steps) in batches.enumerated() {
            let layer = other.layered.upper(number)
            try await layered.link(FileSystem.exists(layer) ? layer : other.tree, to: layered.upper(number))
            try FileSystem.replace(record(number), with: JSONEncoder().encode(steps))
        }
        try FileSystem.makeFolder(tree)
    }

    /// A place to fill that nobody else knows, be it another holder of the same run that does not know yet that it is one no more.
    func staged(epoch: Int64) -> RunWorkspace { RunWorkspace(folder: staging.appending("\(epoch)")) }

    /// Makes what was filled the run's own. Nothing may be there but what was staged.
    func adopt(_ staged: RunWorkspace) async throws {
        if FileSystem.exists(staged.layers) { try FileSystem.move(staged.layers, to: layers) }
        try FileSystem.move(staged.tree, to: tree)
        try FileSystem.remove(staging)
        try await open()
    }

    /// The run is over: its files stay, but nobody sees them.
    func rest() async throws { try await layered.unmount() }

    func remove() async throws {
        try await putAside()
        try emptyBin()
    }

    /// Gives back the room of what was put aside.
    func emptyBin() throws { try FileSystem.remove(removed) }

    /// From now on nothing is there, whoever still works on it. It takes its room until ``emptyBin()``.
    func putAside() async throws {
        try await layered.unmount()
        for path in [tree, layers, staging] where FileSystem.exists(path) {
            try FileSystem.move(path, to: removed.appending(UUID().uuidString))
        }
    }
}
