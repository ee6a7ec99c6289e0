import CLinux
import Glibc
import SystemPackage

/// Turns an image's `User` into numbers, by the image's own `/etc/passwd` and `/etc/group`.
struct UserLookup {
    let root: FilePath

    func resolve(_ user: String) throws(ContainerError) -> RuntimeConfig.User {
        let parts = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts.first ?? ""
        let group = parts.count == 2 && !parts[1].isEmpty ? parts[1] : nil
        if name.isEmpty && group == nil { return RuntimeConfig.User(uid: 0, gid: 0, additionalGids: nil) }
        let account = records("etc/passwd", fields: 4).first { name.isEmpty ? $0[2] == "0" : $0[0] == name || $0[2] == name }
        guard let uid = name.isEmpty ? 0 : UInt32(name) ?? account.flatMap({ UInt32($0[2]) }) else {
            throw missing("user", name)
        }
        guard let group else {
            let gid = account.flatMap { UInt32($0[3]) } ?? 0
            guard let account else { return RuntimeConfig.User(uid: uid, gid: gid, additionalGids: nil) }
            let more = records("etc/group", fields: 4).filter { $0[3].split(separator: ",").contains { $0 == account[0] } }
                .compactMap { UInt32($0[2]) }
            return RuntimeConfig.User(uid: uid, gid: gid, additionalGids: more.isEmpty ? nil : more)
        }
        let entry = records("etc/group", fields: 3).first { $0[0] == group }
        guard let gid = UInt32(group) ?? entry.flatMap({ UInt32($0[2]) }) else { throw missing("group", group) }
        return RuntimeConfig.User(uid: uid, gid: gid, additionalGids: nil)
    }

    private func missing(_ kind: String, _ name: String) -> ContainerError {
        ContainerError(
            .userNotFound, "the image has no \(kind) '\(name)'", hint: "use a number, or a name of its /etc/passwd and /etc/group")
    }

    /// Reads at most 1 MiB; links are followed inside the root only, special files are not opened.
    private func records(_ path: String, fields: Int) -> [[String]] {
        guard let folder = try? FileDescriptor.open(root, .readOnly, options: [.directory, .closeOnExec]) else { return [] }
        defer { try? folder.close() }
        let number = clinux_open_in_root(folder.rawValue, path, UInt64(O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))
        guard number >= 0 else { return [] }
        let file = FileDescriptor(rawValue: number)
        defer { try? file.close() }
        var status = stat()
        guard fstat(number, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let bytes = try? Files.readAll(file, limit: 1 << 20)
        else { return [] }
        return bytes.split(separator: 0x0a).map { line in
            line.split(separator: 0x3a, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        }.filter { $0.count >= fields }
    }
}
