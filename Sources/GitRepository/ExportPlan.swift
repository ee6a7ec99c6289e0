import BlockingQueue
import CLibgit2

/// How much a commit may put into a workspace.
public struct ExportLimits: Hashable, Sendable {
    /// Bytes of one file.
    public var fileBytes: Int64
    /// Bytes of all files together.
    public var totalBytes: Int64
    /// Files, links and folders together.
    public var entries: Int

    public init(fileBytes: Int64 = 512 << 20, totalBytes: Int64 = 8 << 30, entries: Int = 500_000) {
        self.fileBytes = fileBytes
        self.totalBytes = totalBytes
        self.entries = entries
    }
}

/// Everything an export will write, found and checked before the first file is made.
struct ExportPlan {
    enum Step {
        case enter(EntryName)
        case leave
        case file(EntryName, git_oid, executable: Bool)
        case symlink(EntryName, target: [UInt8])
    }

    /// Each open folder is a file descriptor.
    private static let depthLimit = 128
    private static let pathLimit = 4095

    private(set) var steps: [Step] = []
    private var links = SymlinkCheck()
    private var entries = 0
    private var bytes: Int64 = 0
    private let limits: ExportLimits
    private let repository: OpaquePointer
    private let objects: OpaquePointer
    private let cancellation: Cancellation

    /// Throws `.refused` or `.tooLarge`, naming the path, for the first entry that must not be exported.
    init(tree: OpaquePointer, in repository: OpaquePointer, objects: OpaquePointer, limits: ExportLimits, cancellation: Cancellation) throws {
        self.repository = repository
        self.objects = objects
        self.limits = limits
        self.cancellation = cancellation
        try add(tree, prefix: [], depth: 0)
        try links.run(cancellation)
    }

    private mutating func add(_ tree: OpaquePointer, prefix: [UInt8], depth: Int) throws {
        if cancellation.isCancelled { throw CancellationError() }
        for index in 0..<git_tree_entrycount(tree) {
            guard let entry = git_tree_entry_byindex(tree, index), let raw = git_tree_entry_name(entry), let id = git_tree_entry_id(entry)
            else { throw GitError(.corrupt, "a tree entry in '\(shown(prefix))' cannot be read") }
            let name = EntryName(raw)
            let path = prefix.isEmpty ? name.bytes : prefix + [UInt8(ascii: "/")] + name.bytes
            if let objection = name.objection {
                throw GitError(.refused, "'\(shown(path))' is refused: \(objection)", hint: "remove the entry from the repository")
            }
            entries += 1
            guard entries <= limits.entries else { throw GitError(.tooLarge, "the commit has more than \(limits.entries) files and folders") }
            guard depth < ExportPlan.depthLimit, path.count <= ExportPlan.pathLimit else {
                throw GitError(.refused, "the path '\(shown(path).prefix(200))…' is too long or too deep", hint: "use fewer nested folders")
            }
            switch kind(of: entry) {
            case .folder:
                steps.append(.enter(name))
                try lend("cannot read '\(shown(path))'", open: { git_tree_lookup(&$0, repository, id) }, free: git_tree_free) {
                    try add($0, prefix: path, depth: depth + 1)
                }
                steps.append(.leave)
            case .file: try addFile(name, id.pointee, executable: false, path: path)
            case .executable: try addFile(name, id.pointee, executable: true, path: path)
            case .symlink:
                let target = try GitMirror.lendBlob(id.pointee, in: repository, limit: Int64(ExportPlan.pathLimit), name: shown(path)) { Array($0) }
                links.add(path: path, target: target)
                steps.append(.symlink(name, target: target))
            case .submodule:
                throw GitError(
                    .refused, "'\(shown(path))' is a submodule, which is not supported",
                    hint: "put the files into the repository, or fetch them in a step")
            case nil: throw GitError(.refused, "'\(shown(path))' has an unknown file mode", hint: "remove the entry from the repository")
            }
        }
    }

    private mutating func addFile(_ name: EntryName, _ id: git_oid, executable: Bool, path: [UInt8]) throws {
        var id = id
        var size = 0
        var type = GIT_OBJECT_INVALID
        try check(git_odb_read_header(&size, &type, objects, &id), "cannot read '\(shown(path))'")
        guard type == GIT_OBJECT_BLOB else { throw GitError(.corrupt, "'\(shown(path))' is not a file") }
        bytes += Int64(size)
        guard Int64(size) <= limits.fileBytes else {
            throw GitError(
                .tooLarge, "'\(shown(path))' has \(size) bytes, more than the limit of \(limits.fileBytes)",
                hint: "keep large files out of the repository")
        }
        guard bytes <= limits.totalBytes else {
            throw GitError(
                .tooLarge, "the files of the commit have more than \(limits.totalBytes) bytes", hint: "keep large files out of the repository")
        }
        steps.append(.file(name, id, executable: executable))
    }
}

private func shown(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }
