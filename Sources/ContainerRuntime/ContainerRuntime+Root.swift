import BlockingQueue
import Glibc
public import SystemPackage

/// Layers put together to one root, with nothing running in it. Changes go to `changes`.
public struct MountedRoot: Sendable, Hashable {
    public let root: FilePath
    /// The writable folder of the overlay, in its own terms: whiteouts are devices 0:0, opaque folders carry
    /// `trusted.overlay.opaque`.
    public let changes: FilePath
}

extension ContainerRuntime {
    /// Mounts layers as a container's root is mounted, without a container. ``remove(_:fence:)`` takes it away again; until
    /// then it is listed as a container that was created and does not run.
    ///
    /// - Parameters:
    ///   - id: as of a container, and not in use.
    ///   - layers: unpacked layers, bottom first; none is an empty root.
    public func mountRoot(_ id: String, layers: [String], labels: [String: String] = [:]) async throws -> MountedRoot {
        let spec = ContainerSpec(id: id, layers: layers, arguments: ["-"], labels: labels)
        try spec.validate()
        return try await queue.run { cancellation in
            let paths = paths(id)
            try Files.makeFolder(paths.lock.removingLastComponent())
            return try Files.withLock(paths.lock, patience(cancellation)) {
                guard !Files.exists(paths.folder) else {
                    throw ContainerError(.invalidSpec, "there is a container \(id) already", hint: "remove it first")
                }
                do {
                    try Files.makeFolder(paths.folder)
                    try Files.write(Intent(labels: labels, arguments: []), to: paths.intent)
                    try Overlay.mount(spec, paths)
                } catch {
                    try? tearDown(paths)
                    throw error
                }
                return MountedRoot(root: paths.rootFolder, changes: paths.upper)
            }
        }
    }

    /// What a container wrote over its layers. Complete once the container has ended; gone after ``remove(_:fence:)``.
    public func changes(of id: String) -> FilePath { paths(id).upper }
}
