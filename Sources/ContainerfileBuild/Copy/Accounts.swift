/// Names of users and groups, by an image's own `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
struct Accounts {
    private let users: [[String]]
    private let groups: [[String]]

    /// Reads at most 1 MiB of each file; a file that is missing has no names. Blocking.
    init(of root: TreeRoot) throws {
        users = try Self.records(root, "/etc/passwd", fields: 4)
        groups = try Self.records(root, "/etc/group", fields: 3)
    }

    /// Numbers for a user and a group, each a name or a number. Without a group: the group of a user given by name or
    /// known by number... is that of its number, as the Dockerfile reference has it: `--chown=55` is 55:55.
    func owner(user: String, group: String?) throws -> (uid: UInt32, gid: UInt32) {
        let uid = try number(user, in: users, "user", "/etc/passwd")
        guard let group else {
            if UInt32(user) != nil { return (uid, uid) }
            let own = users.first { $0[0] == user }.flatMap { UInt32($0[3]) }
            return (uid, own ?? uid)
        }
        return (uid, try number(group, in: groups, "group", "/etc/group"))
    }

    private func number(_ name: String, in records: [[String]], _ kind: String, _ file: String) throws -> UInt32 {
        if let number = UInt32(name) { return number }
        guard let number = records.first(where: { $0[0] == name }).flatMap({ UInt32($0[2]) }) else {
            throw ContainerfileBuildError(
                .notFound, "the image has no \(kind) '\(name)'", hint: "use a number, or make the \(kind) before: it is looked up in the image's \(file)")
        }
        return number
    }

    private static func records(_ root: TreeRoot, _ name: String, fields: Int) throws -> [[String]] {
        guard let bytes = try root.read(name, limit: 1 << 20) else { return [] }
        return bytes.split(separator: 0x0a).map { line in
            line.split(separator: 0x3a, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        }.filter { $0.count >= fields }
    }
}
