public import OCIModel
public import SystemPackage
public import TarArchive

/// What an image is made of. Equal requests over equal files make equal digests, on any machine, at any time.
public struct BuildRequest: Sendable {
    /// Files to be copied into the image, as a layer of their own. Later copies win.
    public struct Copy: Sendable {
        /// A file or folder; must lie under the context. Of a folder, the content is copied.
        public var source: FilePath
        /// Where it goes; with a trailing slash, or where the base has a folder, a file keeps its name inside. A
        /// relative one starts at the working directory.
        public var destination: String
        /// Permissions of the files; nil makes 0755 of executables and 0644 of the rest. Folders are 0755.
        public var mode: UInt16?
        public var uid: Int
        public var gid: Int
        /// Names the source's whole content (names, executable bits, bytes): a git tree or blob id of exactly these files.
        /// With it, an unchanged source is not looked at. Nil when only the files themselves can tell.
        public var identity: String?

        public init(
            source: FilePath, destination: String, mode: UInt16? = nil, uid: Int = 0, gid: Int = 0, identity: String? = nil
        ) {
            self.source = source
            self.destination = destination
            self.mode = mode
            self.uid = uid
            self.gid = gid
            self.identity = identity
        }
    }

    /// Manifest or index in the store; nil starts from scratch.
    public var base: Digest?
    /// What the base is called; recorded beside its digest.
    public var baseName: String?
    public var copies: [Copy]
    /// The folder no source may leave, not even through a symbolic link.
    public var context: FilePath
    /// Replaces the base's entrypoint, and forgets its command.
    public var entrypoint: [String]?
    public var cmd: [String]?
    /// Replaces or adds variables of the base.
    public var environment: [String: String]
    public var user: String?
    public var workingDirectory: String?
    /// `80`, `80/tcp`, `53/udp`.
    public var ports: [String]
    public var labels: [String: String]
    /// Annotations of the manifest.
    public var annotations: [String: String]
    /// Seconds since 1970: when the image was made, as its config says. The time of the commit, or SOURCE_DATE_EPOCH.
    public var timestamp: Int64
    /// Seconds since 1970 for every file; nil takes `timestamp`. One that stays the same from commit to commit keeps the
    /// layers of unchanged files.
    public var fileTimestamp: Int64?
    public var platform: Platform
    public var compression: Compression
    /// Values that must not get into a layer, in any usual form; those under 8 bytes are not looked for.
    public var secrets: [String]

    public init(
        base: Digest?, copies: [Copy], context: FilePath, entrypoint: [String]? = nil, cmd: [String]? = nil,
        environment: [String: String] = [:], user: String? = nil, workingDirectory: String? = nil,
        ports: [String] = [], labels: [String: String] = [:], annotations: [String: String] = [:],
        timestamp: Int64, fileTimestamp: Int64? = nil, platform: Platform = .current, baseName: String? = nil,
        compression: Compression = .standard, secrets: [String] = []
    ) {
        self.base = base
        self.copies = copies
        self.context = context
        self.entrypoint = entrypoint
        self.cmd = cmd
        self.environment = environment
        self.user = user
        self.workingDirectory = workingDirectory
        self.ports = ports
        self.labels = labels
        self.annotations = annotations
        self.timestamp = timestamp
        self.fileTimestamp = fileTimestamp
        self.platform = platform
        self.baseName = baseName
        self.compression = compression
        self.secrets = secrets
    }
}

/// An image that is in the store. No repository names it yet.
public struct BuiltImage: Sendable, Hashable {
    public let manifest: Descriptor
    public let config: Digest
    /// All layers, lowest first, those of the base included.
    public let layers: [Descriptor]
    /// How many blobs were new to the store; 0 when this very image was built before.
    public internal(set) var blobsWritten: Int
}

/// Why an image could not be built.
public struct ImageBuilderError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        /// A value of the request cannot be used.
        case invalidRequest
        /// A source does not exist.
        case sourceMissing
        /// A source lies outside the context.
        case sourceOutsideContext
        /// A source holds what an image cannot hold, or copies contradict each other.
        case invalidSource
        /// The base is for another platform.
        case platformMismatch
        /// A layer would hold the value of a secret.
        case secretFound
        /// The image cannot be moved onto another base without building it again.
        case baseConflict
    }

    public let code: Code
    public let message: String
    /// What the user can do about it.
    public let hint: String

    public init(code: Code, message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    public var description: String { hint.isEmpty ? message : "\(message) (\(hint))" }
}
