import Glibc
import SystemPackage

/// The folders and empty files that mounts need and the layers lack, made in a layer of their own: a container's changes
/// then hold what its program did, not what its runtime did.
struct MountPoints {
    let spec: ContainerSpec
    let paths: ContainerPaths

    private enum Found {
        case there
        /// Real folders that exist, then names that do not.
        case missing([String], [String])
    }

    /// Looks at the mounted root. Returns whether the layer is needed.
    func make() throws(ContainerError) -> Bool {
        let mounts = RuntimeConfig.mounts(spec, paths)
        var made = false
        for mount in mounts {
            // What lies in another mount is made there.
            let isCovered = mounts.contains { $0.destination != mount.destination && mount.destination.hasPrefix("\($0.destination)/") }
            guard !isCovered, case .missing(let folders, let names) = try find(mount.destination) else { continue }
            made = true
            try Files.makeFolder(paths.mountPoints, mode: 0o755)
            try copyDescription(of: "", to: paths.mountPoints)
            var path = paths.mountPoints
            for (index, name) in folders.enumerated() {
                path.append(name)
                try Files.makeFolder(path, mode: 0o755)
                try copyDescription(of: folders[...index].joined(separator: "/"), to: path)
            }
            for name in names.dropLast() {
                path.append(name)
                try Files.makeFolder(path, mode: 0o755)
                guard chmod(path.string, 0o755) == 0 else { throw ContainerError.file("make", path, Errno(rawValue: errno)) }
            }
            path.append(names.last ?? "")
            if isFolder(mount) {
                try Files.makeFolder(path, mode: 0o755)
            } else {
                try Files.write([], to: path, mode: [.ownerReadWrite, .groupRead, .otherRead])
            }
        }
        return made
    }

    private func isFolder(_ mount: RuntimeConfig.Mount) -> Bool {
        guard mount.type == "bind", let source = mount.source else { return true }
        var status = stat()
        return stat(source, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Walks down the root, following its symbolic links as if it were `/`. Nobody else changes it.
    private func find(_ destination: String) throws(ContainerError) -> Found {
        var pending = destination.split(separator: "/").map(String.init).reversed() as [String]
        var real: [String] = []
        var links = 0
        while let name = pending.popLast() {
            if name == "." { continue }
            if name == ".." {
                _ = real.popLast()
                continue
            }
            let path = paths.rootFolder.string + "/" + (real + [name]).joined(separator: "/")
            var status = stat()
            guard lstat(path, &status) == 0 else {
                guard errno == ENOENT else { throw ContainerError.file("look at", FilePath(path), Errno(rawValue: errno)) }
                return .missing(real, [name] + pending.reversed())
            }
            guard status.st_mode & S_IFMT == S_IFLNK else {
                real.append(name)
                continue
            }
            links += 1
            guard links <= 40, let target = Self.readLink(path) else {
                throw ContainerError(
                    .invalidSpec, "container \(paths.id): symbolic links on the way to \(destination) run in a circle",
                    hint: "mount it elsewhere")
            }
            if target.hasPrefix("/") { real = [] }
            pending += target.split(separator: "/").map(String.init).reversed()
        }
        return .there
    }

    private static func readLink(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(path, &buffer, Int(PATH_MAX))
        return count > 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// A folder of an upper layer speaks for those below: it must say the same.
    private func copyDescription(of name: String, to path: FilePath) throws(ContainerError) {
        let original = name.isEmpty ? paths.rootFolder.string : "\(paths.rootFolder)/\(name)"
        var status = stat()
        guard stat(original, &status) == 0, chown(path.string, status.st_uid, status.st_gid) == 0,
            chmod(path.string, status.st_mode & 0o7777) == 0
        else { throw ContainerError.file("copy the owner of", FilePath(original), Errno(rawValue: errno)) }
        let times = [status.st_atim, status.st_mtim]
        guard times.withUnsafeBufferPointer({ utimensat(AT_FDCWD, path.string, $0.baseAddress, 0) }) == 0 else {
            throw ContainerError.file("set the time of", path, Errno(rawValue: errno))
        }
    }
}
