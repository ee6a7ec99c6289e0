import BlockingQueue
import Glibc
public import SystemPackage

/// A folder whose changes go into one layer above others that stay as they are (overlayfs).
///
/// `layers/<n>/upper` are the layers, lowest first; the last one takes what is written to `tree`. Renaming works as on any
/// folder, so a layer makes sense only over the ones below it. Nobody may write to a layer that has another one above it.
public struct LayeredFolder: Sendable {
    /// Where the files are seen; an empty folder while it is not mounted.
    let tree: FilePath
    let layers: FilePath
    let queue: BlockingQueue

    public init(tree: FilePath, layers: FilePath) {
        self.tree = tree
        self.layers = layers
        queue = BlockingQueue(label: "layers", width: 1)
    }

    public func upper(_ number: Int) -> FilePath { layers.appending("\(number)").appending("upper") }

    /// Shows layers 0 to `top`, the last one writable and made when missing. Mounted already: mounted anew.
    public func mount(top: Int) async throws {
        try await queue.run { _ in
            unmountNow()
            let folder = layers.appending("\(top)")
            // What overlayfs left in there is of one mount, and marks it as such.
            try Files.removeTree(folder.appending("work"))
            for path in [tree, upper(top), folder.appending("work")] { try Files.makeFolder(path, mode: 0o755) }
            let lower = (0..<top).reversed().map { "\($0)/upper" }.joined(separator: ":")
            let options = "lowerdir=\(lower),upperdir=\(top)/upper,workdir=\(top)/work,redirect_dir=on,metacopy=off,index=off"
            // "volatile": unmounting need not flush what never was flushed before. Linux 5.10.
            var result = Overlay.mount(at: tree.string, in: layers, options: options + ",volatile")
            if result == EINVAL { result = Overlay.mount(at: tree.string, in: layers, options: options) }
            guard result == 0 else {
                throw ContainerError(
                    .mountFailed, "cannot mount \(tree): \(Errno(rawValue: result))",
                    hint: "overlayfs needs root and a data directory that is not itself on overlayfs; see the kernel log")
            }
        }
    }

    /// Not mounted is fine.
    public func unmount() async throws { try await queue.run { _ in unmountNow() } }

    /// Whether `tree` shows layers now.
    public var isMounted: Bool {
        var here = stat()
        var parent = stat()
        guard stat(tree.string, &here) == 0, stat(tree.removingLastComponent().string, &parent) == 0 else { return false }
        return here.st_dev != parent.st_dev
    }

    private func unmountNow() {
        while umount2(tree.string, 8 /* UMOUNT_NOFOLLOW */) == 0 {}
        // Somebody still looks at it.
        while errno == EBUSY, umount2(tree.string, Int32(MNT_DETACH) | 8) == 0 {}
    }

    /// Gives every file of a layer that nobody writes to any more a second name below `target`, which must not be there; folders
    /// are made anew, with everything overlayfs keeps about them.
    public func link(_ source: FilePath, to target: FilePath) async throws {
        try await queue.run { _ in
            try Files.makeFolder(target.removingLastComponent(), mode: 0o755)
            let copy = Command(
                program: try Command.find("cp", in: "/usr/bin:/bin"), arguments: ["-a", "-l", "-T", "--", source.string, target.string],
                environment: ["LC_ALL": "C"])
            let result = try copy.run(timeout: 3600)
            guard result.code == 0 else {
                throw ContainerError(.runtimeFailed, "cannot copy \(source): \(result.errors.suffix(1000))")
            }
        }
    }
}
