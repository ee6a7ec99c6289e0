public import SystemPackage

/// One entry to be written into an archive.
public struct TarEntry: Sendable {
    public enum Content: Sendable {
        case directory
        /// A regular file; its bytes are streamed from here.
        case file(FilePath)
        /// A regular file with these bytes.
        case bytes([UInt8])
        case symlink(String)
        /// Another name of an entry written before.
        case hardlink(String)
        case fifo
        case characterDevice(major: UInt32, minor: UInt32)
        case blockDevice(major: UInt32, minor: UInt32)
    }

    /// Slash-separated, without a leading slash; UTF-8.
    public var path: String
    public var content: Content
    /// Permission bits, with setuid, setgid and sticky.
    public var mode: UInt16
    public var uid: Int
    public var gid: Int
    /// Seconds since 1970; nil takes the archive's timestamp.
    public var time: Int64?
    public var xattrs: [String: [UInt8]]

    public init(
        path: String, content: Content, mode: UInt16, uid: Int = 0, gid: Int = 0, time: Int64? = nil,
        xattrs: [String: [UInt8]] = [:]
    ) {
        self.path = path
        self.content = content
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.time = time
        self.xattrs = xattrs
    }
}

extension Sequence<TarEntry> {
    /// The order archives are written in: by the bytes of the path, so parents come before what they hold.
    public func sortedForArchive() -> [TarEntry] {
        sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }
}
