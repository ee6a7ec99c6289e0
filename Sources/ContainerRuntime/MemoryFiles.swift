import Glibc
import SystemPackage

/// Files for a container that must not reach a disk: written into a file system in memory that ends with the container.
enum MemoryFiles {
    static func mount(_ spec: ContainerSpec, _ paths: ContainerPaths) throws(ContainerError) {
        guard !spec.memoryFiles.isEmpty else { return }
        try Files.makeFolder(paths.memory)
        let size = spec.memoryFiles.reduce(1 << 20) { $0 + $1.content.count + 8192 }
        let options = "mode=0700,size=\(size)"
        guard Glibc.mount("tmpfs", paths.memory.string, "tmpfs", UInt(MS_NOSUID | MS_NODEV), options) == 0 else {
            throw ContainerError(
                .mountFailed, "cannot mount the files in memory of \(paths.id): \(Errno(rawValue: errno))",
                hint: "mounting needs root")
        }
        for (index, file) in spec.memoryFiles.enumerated() {
            let path = paths.memory.appending("\(index)")
            try Files.write(file.content, to: path)
            guard chown(path.string, file.uid, file.gid) == 0, chmod(path.string, mode_t(file.mode & 0o7777)) == 0 else {
                throw ContainerError.file("set the owner of", path, Errno(rawValue: errno))
            }
        }
    }

    /// Forgets them; nothing there is fine.
    static func unmount(_ paths: ContainerPaths) throws(ContainerError) {
        guard Files.exists(paths.memory) else { return }
        while umount2(paths.memory.string, Int32(MNT_DETACH) | 8 /* UMOUNT_NOFOLLOW */) == 0 {}
        guard rmdir(paths.memory.string) == 0 || errno == ENOENT else {
            throw ContainerError.file("remove", paths.memory, Errno(rawValue: errno))
        }
    }
}
