import Foundation
import StateStore

/// Servers that share a store share the data directory too: images, logs, workspaces and containers are there, and rows of the
/// store name them. This makes sure of it.
struct Belonging: Sendable {
    let folder: DataFolder
    let location: StoreLocation
    let store: any StateStore
    let place: ServerPlace

    /// - Throws: ``Failure`` when the store belongs to another data directory, or another server has this one with another store.
    func check() async throws {
        let here = Self.place(of: folder)
        let registration = try await store.register(folder: try folder.id(), place: here, adopting: false)
        guard registration.folder == (try folder.id()) else {
            throw Failure(
                "\(location) belongs to another data directory, \(registration.place); this one is \(here)",
                hint: "start with that one (--data, a shared file system), or give this server a database of its own; "
                    + "when that one is gone for good: slipway store adopt --data \(folder.path)")
        }
        var conflict = try place.use(store: registration.store)
        if conflict != nil {
            // Somebody may just have been about to clear up behind it.
            try await Task.sleep(for: .milliseconds(300))
            if try place.use(store: registration.store) != conflict { conflict = nil }
        }
        switch conflict {
        case nil: return
        case .store(let other):
            throw Failure(
                "another server with the data directory \(folder.path) (servers/\(other)) uses another database than \(location)",
                hint: "give all servers of a data directory the same 'store'")
        case .path(let path, let other):
            throw Failure(
                "another server (servers/\(other)) has this data directory as \(path)",
                hint: "give all servers the same --data; \(folder.path) leads to the same folder, but containers are named for the path")
        case .machine(let host, let other):
            throw Failure(
                "a server on \(host) (servers/\(other)) works in the data directory \(folder.path) already, and its containers are there",
                hint: "start this one with --role web, or start it on \(host)")
        }
    }

    static func place(of folder: DataFolder) -> String { "\(ProcessInfo.processInfo.hostName):\(folder.path)" }
}
