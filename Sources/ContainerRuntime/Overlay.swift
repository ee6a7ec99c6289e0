import CLinux
import Glibc
import SystemPackage

/// The container's root: its layers below, a throw-away writable folder on top (kernel: Documentation/filesystems/overlayfs).
enum Overlay {
    /// overlayfs takes 500 lower layers.
    static let limit = 500

    /// - Parameter top: one more layer above the spec's; nothing may have been written yet.
    static func mount(_ spec: ContainerSpec, _ paths: ContainerPaths, top: FilePath? = nil) throws(ContainerError) {
        // overlayfs marks both as used by a "volatile" mount, and links are made anew.
        for folder in [paths.upper, paths.work, paths.layers] { try Files.removeTree(folder) }
        for folder in [paths.rootFolder, paths.upper, paths.work, paths.layers] { try Files.makeFolder(folder, mode: 0o755) }
        let layers = spec.layers + (top.map { [$0.string] } ?? [])
        guard layers.count <= limit else {
            throw ContainerError(
                .mountFailed, "the image has \(layers.count) layers, overlayfs takes \(limit)",
                hint: "flatten the image")
        }
        var names: [String] = []
        for (index, layer) in layers.enumerated() {
            guard Files.exists(FilePath(layer)) else {
                throw ContainerError(.mountFailed, "layer \(layer) is not there", hint: "unpack the image again")
            }
            guard symlink(layer, paths.layers.appending(String(index)).string) == 0 else {
                throw ContainerError.file("link", paths.layers, Errno(rawValue: errno))
            }
            names.insert("l/\(index)", at: 0)
        }
        if names.isEmpty {
            try Files.makeFolder(paths.layers.appending("empty"), mode: 0o755)
            names = ["l/empty"]
        }
        let options = "lowerdir=\(names.joined(separator: ":")),upperdir=upper,workdir=work,redirect_dir=off,metacopy=off,index=off"
        // What is written must be whole in `upper`, however the kernel is set up: it may become a layer.
        // "volatile": the folder is thrown away with the container, unmounting need not flush it. Linux 5.10.
        var result = mount(in: paths.folder, options: options + ",volatile")
        if result == EINVAL { result = mount(in: paths.folder, options: options) }
        guard result == 0 else {
            throw ContainerError(
                .mountFailed, "cannot mount the root of \(paths.id): \(Errno(rawValue: result))",
                hint: "overlayfs needs root and a data directory that is not itself on overlayfs; see the kernel log")
        }
    }

    /// Mounts with paths relative to `folder`, on a thread with a working directory of its own.
    static func mount(at target: String = "rootfs", in folder: FilePath, options: String) -> Int32 {
        onOwnThread {
            guard unshare(clinux_CLONE_FS) == 0, chdir(folder.string) == 0 else { return errno }
            return Glibc.mount("overlay", target, "overlay", UInt(MS_NODEV), options) == 0 ? 0 : errno
        }
    }

    /// Unmounts whatever is at the container's root; nothing there is fine.
    static func unmount(_ paths: ContainerPaths) {
        while umount2(paths.rootFolder.string, Int32(MNT_DETACH) | 8 /* UMOUNT_NOFOLLOW */) == 0 {}
    }
}

/// Runs `body` on a thread that ends afterwards, so that what it changed of itself (unshare) reaches nobody else.
func onOwnThread(_ body: () -> Int32) -> Int32 {
    withoutActuallyEscaping(body) { body in
        final class Box { let body: () -> Int32; var result: Int32 = EAGAIN; init(_ body: @escaping () -> Int32) { self.body = body } }
        let box = Box(body)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(box)
        let failed = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let box = Unmanaged<Box>.fromOpaque(context).takeUnretainedValue()
                box.result = box.body()
                return nil
            }, context.toOpaque())
        if failed == 0 { pthread_join(thread, nil) }
        context.release()
        return box.result
    }
}
