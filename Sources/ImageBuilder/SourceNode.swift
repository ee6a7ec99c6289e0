import Glibc

/// One folder, file or symbolic link of a source, as it was found.
struct SourceNode: Sendable {
    enum Kind: UInt8, Sendable { case folder, file, link }

    /// Below the source, without a leading slash; empty for the source itself.
    let path: String
    let kind: Kind
    let stamp: FileStamp
    /// Where a link points.
    let target: String?
    /// Nil while a file has not been read.
    var content: ContentHash?

    var isExecutable: Bool { stamp.mode & UInt32(S_IXUSR) != 0 }
}

/// What the file system says about a file without its content being read. Two equal stamps mean an unchanged file, as long
/// as the file was not changed in the moment the first was taken (see ``SourceIndex``).
struct FileStamp: Equatable, Sendable {
    let device: UInt64
    let inode: UInt64
    let size: Int64
    /// Nanoseconds since 1970.
    let modified: Int64
    /// Nanoseconds since 1970; nobody can set this one back.
    let changed: Int64
    /// Type and permissions.
    let mode: UInt32

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        mode = UInt32(status.st_mode)
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000).partialValue &+ Int64(time.tv_nsec)
    }

    /// Nil for what an image cannot hold: sockets, devices, pipes.
    var kind: SourceNode.Kind? {
        switch mode_t(mode) & S_IFMT {
        case S_IFDIR: .folder
        case S_IFREG: .file
        case S_IFLNK: .link
        default: nil
        }
    }
}

extension [SourceNode] {
    /// What the tree holds, as far as it decides about a layer; nil while a file is unread.
    var contentKey: ContentHash? {
        var key = CacheKey("content")
        for node in self {
            guard let content = node.content else { return nil }
            key.add(node.path)
            key.add(Int64(node.kind.rawValue) | (node.kind == .file && node.isExecutable ? 16 : 0))
            key.add(content)
        }
        return ContentHash(key.finalize())
    }
}
