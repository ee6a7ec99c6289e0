/// COPY: files of the build context, of another stage or of an image.
public struct CopyInstruction: Sendable, Hashable {
    /// Not empty.
    public var sources: [CopySource]
    /// Expanded and empty, it is the working directory.
    public var destination: Word
    /// The value of `--from`: an earlier stage's name or index, or an image (``BuildGraph/origin(named:forStage:)``); never expanded.
    public var from: String?
    public var options: CopyOptions
    /// `--parents`: keep the sources' folders (below a `/./` in the source, when there is one).
    public var keepsParents: Bool

    public init(
        sources: [CopySource], destination: Word, from: String? = nil, options: CopyOptions = CopyOptions(),
        keepsParents: Bool = false
    ) {
        self.sources = sources
        self.destination = destination
        self.from = from
        self.options = options
        self.keepsParents = keepsParents
    }
}

/// ADD: as COPY from the context, and archives are unpacked, URLs fetched, git repositories cloned.
public struct AddInstruction: Sendable, Hashable {
    /// Not empty. An expanded path is a file, an URL or a git repository: ``AddOrigin``.
    public var sources: [CopySource]
    /// Expanded and empty, it is the working directory.
    public var destination: Word
    public var options: CopyOptions
    /// `--checksum`: of the one URL or git source.
    public var checksum: Word?
    /// `--keep-git-dir`; nil when not given (the URL's query decides).
    public var keepsGitDirectory: Bool?
    /// `--unpack`; nil: local archives are unpacked, remote ones are not.
    public var unpacks: Bool?

    public init(
        sources: [CopySource], destination: Word, options: CopyOptions = CopyOptions(), checksum: Word? = nil,
        keepsGitDirectory: Bool? = nil, unpacks: Bool? = nil
    ) {
        self.sources = sources
        self.destination = destination
        self.options = options
        self.checksum = checksum
        self.keepsGitDirectory = keepsGitDirectory
        self.unpacks = unpacks
    }
}

public enum CopySource: Sendable, Hashable {
    /// A path or pattern (``PathPattern``), an URL or a git repository (ADD), unexpanded.
    case path(Word)
    case heredoc(Heredoc)
}

/// A document inside the Containerfile, the source of COPY or ADD.
public struct Heredoc: Sendable, Hashable {
    /// The delimiter, and the file's name when the destination is a folder.
    public var name: String
    /// The bytes of the file once expanded; a quoted delimiter makes it literal. Tabs are gone for `<<-`.
    public var content: Word

    public init(name: String, content: Word) {
        self.name = name
        self.content = content
    }
}

/// The flags COPY and ADD share; all words are expanded.
public struct CopyOptions: Sendable, Hashable {
    /// `--chown`, parsed when expanded: ``Ownership``.
    public var owner: Word?
    /// `--chmod`, parsed when expanded: ``ModeChange``.
    public var mode: Word?
    /// `--link`: the layer does not depend on the layers below; destination links are not followed.
    public var isLinked: Bool
    /// `--exclude`, in order, as written (never expanded), in the syntax of ``IgnoreRules``.
    public var excludes: [String]

    public init(owner: Word? = nil, mode: Word? = nil, isLinked: Bool = false, excludes: [String] = []) {
        self.owner = owner
        self.mode = mode
        self.isLinked = isLinked
        self.excludes = excludes
    }
}
