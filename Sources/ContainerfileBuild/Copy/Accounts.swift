import Containerfile

/// Names of users and groups, by an image's own `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
struct Accounts {
    private let users: [[String]]
    private let groups: [[String]]

    /// Reads at most 1 MiB of each file; a file that is missing has no names. Blocking.
    init(of root: TreeRoot) throws {
        users = try Self.records(root, "/etc/passwd", fields: 4)
        groups = try Self.records(root, "/etc/group", fields: 3)
    }

    /// Numbers for the value of `--chown`; without a group, the group has the user's number, or is the user's own when
    /// the user is given by name.
    func owner(_ owner: Ownership) throws -> (uid: UInt32, gid: UInt32) {
        let uid = try number(owner.user, in: users, "user", "/etc/passwd")
        if let group = owner.group { return (uid, try number(group, in: groups, "group", "/etc/group")) }
        guard case .name(let name) = owner.user else { return (uid, uid) }
        return (uid, users.first { $0[0] == name }.flatMap { UInt32($0[3]) } ?? uid)
    }

    /// Numbers for the value of USER; empty is root.
    func user(_ text: String) throws -> (uid: UInt32, gid: UInt32) {
        guard !text.isEmpty else { return (0, 0) }
        let owner: Ownership
        do { owner = try Ownership(parsing: text) } catch {
            throw ContainerfileBuildError(.invalidValue, error.message, hint: error.hint)
        }
        return try self.owner(owner)
    }

    private func number(
        _ identity: Ownership.Identity, in records: [[String]], _ kind: String, _ file: String
    ) throws -> UInt32 {
        switch identity {
        case .id(let number): return number
        case .name(let name):
            guard let number = records.first(where: { $0[0] == name }).flatMap({ UInt32($0[2]) }) else {
                throw ContainerfileBuildError(
                    .notFound, "the image has no \(kind) '\(name)'",
                    hint: "use a number, or make the \(kind) before: it is looked up in the image's \(file)")
            }
            return number
        }
    }

    private static func records(_ root: TreeRoot, _ name: String, fields: Int) throws -> [[String]] {
        guard let bytes = try root.read(name, limit: 1 << 20) else { return [] }
        return bytes.split(separator: 0x0a).map { line in
            line.split(separator: 0x3a, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        }.filter { $0.count >= fields }
    }
}
