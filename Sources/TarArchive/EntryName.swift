import Glibc
public import SystemPackage

/// The name of an entry, made safe: components below the root, within the limits, and what a `.wh.` in it means
/// (image-spec, layer.md, "Whiteouts").
public struct EntryName {
    public enum Meaning: Equatable {
        case file
        /// Hides this name of lower layers.
        case whiteout(FilePath.Component)
        /// Hides everything lower layers have in the folder.
        case opaqueWhiteout
        /// Left behind by aufs.
        case bookkeeping
    }

    public let components: [FilePath.Component]
    public let meaning: Meaning

    /// The folder it stands in.
    public var parents: [FilePath.Component] { Array(components.dropLast()) }

    /// Throws `.unsafeEntry` for names that lead out or whiteouts that name nothing, `.limitExceeded`.
    public init(_ path: FilePath, _ limits: LayerLimits) throws {
        components = try Self.components(path, limits)
        for name in components.dropLast() where name.hasPrefix(Self.prefix) {
            guard name.hasPrefix(Self.metaPrefix) else { throw Self.unsafe(path, "lies below a whiteout") }
            meaning = .bookkeeping
            return
        }
        guard let last = components.last, last.hasPrefix(Self.prefix) else {
            meaning = .file
            return
        }
        if last.hasPrefix(Self.metaPrefix) {
            meaning = last.bytes == Self.opaque ? .opaqueWhiteout : .bookkeeping
        } else if let hidden = FilePath.Component(bytes: last.bytes.dropFirst(Self.prefix.count)), hidden.kind == .regular {
            meaning = .whiteout(hidden)
        } else {
            throw Self.unsafe(path, "is a whiteout that names nothing")
        }
    }

    private static let prefix = Array(".wh.".utf8)
    private static let metaPrefix = Array(".wh..wh.".utf8)
    private static let opaque = Array(".wh..wh..opq".utf8)

    /// The components of a name: absolute names are taken relative to the root, `..` is refused.
    static func components(_ path: FilePath, _ limits: LayerLimits) throws -> [FilePath.Component] {
        let length = path.withPlatformString { strlen($0) }
        guard length <= limits.pathBytes else {
            throw limits.exceeded(.path, "'\(path.string.prefix(100))…' has \(length) bytes")
        }
        let names: [FilePath.Component] = try path.components.filter { component in
            switch component.kind {
            case .currentDirectory: return false
            case .regular: break
            case .parentDirectory: throw unsafe(path, "leads out of the image")
            }
            let length = component.withPlatformString { strlen($0) }
            guard length <= limits.nameBytes else {
                throw limits.exceeded(.name, "the name '\(component.string.prefix(100))…' has \(length) bytes")
            }
            return true
        }
        guard names.count <= limits.depth else {
            throw limits.exceeded(.depth, "'\(path.string.prefix(100))…' lies \(names.count) folders deep")
        }
        return names
    }

    private static func unsafe(_ path: FilePath, _ what: String) -> TarError {
        TarError(
            code: .unsafeEntry, message: "the entry '\(path.string.prefix(200))' \(what)",
            hint: "the image was made to attack whoever unpacks it, or by a broken tool; do not use it")
    }
}

extension FilePath.Component {
    /// The name as it is, whatever its encoding.
    public var bytes: [UInt8] { withPlatformString { UnsafeRawBufferPointer(start: $0, count: strlen($0)).map { $0 } } }

    func hasPrefix(_ prefix: [UInt8]) -> Bool {
        withPlatformString { strncmp($0, String(decoding: prefix, as: UTF8.self), prefix.count) == 0 }
    }

    init?(bytes: some Sequence<UInt8>) {
        let component = (Array(bytes) + [0]).withUnsafeBytes { raw in
            raw.withMemoryRebound(to: CInterop.PlatformChar.self) { chars in
                chars.baseAddress.flatMap { FilePath.Component(platformString: $0) }
            }
        }
        guard let component else { return nil }
        self = component
    }
}
