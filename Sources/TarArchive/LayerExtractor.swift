public import OCIModel
public import SystemPackage

/// Unpacks a layer into a folder as overlayfs wants it: whiteouts become character devices 0:0, opaque folders
/// carry `trusted.overlay.opaque` (image-spec, layer.md; kernel, overlayfs.rst).
public struct LayerExtractor: Sendable {
    public struct Options: Sendable {
        public var limits = LayerLimits()
        /// Create device nodes; otherwise they are left out (a runtime brings its own `/dev`).
        public var devices = false
        /// Turn whiteouts into overlayfs ones; false keeps out what they delete and ignores them.
        public var overlayWhiteouts = true
        /// How the layer must be packed; nil takes every kind.
        public var compression: LayerCompression?
        /// How folders are opened; tests put an older kernel in its place.
        public var opener = FolderOpener.kernel
        public init() {}
    }

    /// An unpacked layer.
    public struct Result: Sendable, Hashable {
        public let diffID: Digest
        /// True when the folder depends on the layer alone; false when lower layers said what a folder on the way is, or
        /// gave the file a hard link leads to.
        public let isSelfContained: Bool
    }

    public let options: Options
    public init(options: Options = Options()) { self.options = options }

    /// Unpacks `layer` (plain, gzip or zstd) into the existing, empty `folder`. With `expecting`, other content
    /// throws `.digestMismatch`; after any error the folder holds rubbish and must be removed. Returns the diffID.
    /// Owners are set only as root. Blocking: call on a `BlockingQueue`.
    @discardableResult
    public func extract(
        _ layer: FilePath, to folder: FilePath, expecting: Digest? = nil, isCancelled: () -> Bool = { false }
    ) throws -> Digest {
        try extract(layer, to: folder, over: nil, expecting: expecting, isCancelled: isCancelled).diffID
    }

    /// The same on top of layers that are unpacked already: links and folders they have on the way to an entry are
    /// followed and kept, and hard links may lead to their files, which are copied.
    public func extract(
        _ layer: FilePath, to folder: FilePath, over lower: LowerLayers?, expecting: Digest? = nil,
        isCancelled: () -> Bool = { false }
    ) throws -> Result {
        let extraction = try Extraction(folder, lower: lower, options: options)
        var entries = 0
        let (diffID, _) = try TarReader.read(
            layer, expecting: options.compression, limits: options.limits, algorithm: expecting?.algorithm ?? .sha256
        ) { entry, reader in
            if isCancelled() { throw CancellationError() }
            entries += 1
            guard entries <= options.limits.entries else {
                throw options.limits.exceeded(.entries, "\(layer) has more than \(options.limits.entries) entries")
            }
            try extraction.add(entry, reader)
        }
        try extraction.finish()
        if let expecting, expecting != diffID {
            throw TarError(
                code: .digestMismatch, message: "the layer has diffID \(diffID), its config says \(expecting)",
                hint: "the image is damaged or forged; fetch it again")
        }
        return Result(diffID: diffID, isSelfContained: !extraction.root.askedLower)
    }
}
