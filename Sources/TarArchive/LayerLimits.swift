/// How large a layer may become, in every direction an attacker can stretch it. Going over one throws
/// `TarError` with `.limitExceeded`, which names the setting that raises it.
public struct LayerLimits: Sendable, Hashable {
    /// Most uncompressed bytes of a layer, and most bytes all its files have together (holes count).
    public var bytes: Int64 = 64 << 30
    /// Most entries of a layer.
    public var entries = 4_000_000
    /// Most uncompressed bytes per compressed one. Asked once there are more than `ratioFrom` uncompressed bytes:
    /// small files of zeros compress a thousandfold and harm nobody.
    public var ratio: Int64 = 200
    public var ratioFrom: Int64 = 1 << 30
    /// Most folders one below the other.
    public var depth = 256
    /// Most bytes of a whole path, and of one name in it.
    public var pathBytes = 4096
    public var nameBytes = 255

    public init() {}

    /// A limit, by the name its setting has.
    public enum Name: String, Sendable, CaseIterable {
        case bytes = "layers.max_bytes"
        case entries = "layers.max_entries"
        case ratio = "layers.max_ratio"
        case depth = "layers.max_depth"
        case path = "layers.max_path"
        case name = "layers.max_name"

        /// The environment variable of the same meaning.
        public var variable: String { "SLIPWAY_" + rawValue.uppercased().map { $0 == "." ? "_" : String($0) }.joined() }
    }

    public subscript(name: Name) -> Int64 {
        get {
            switch name {
            case .bytes: bytes
            case .entries: Int64(entries)
            case .ratio: ratio
            case .depth: Int64(depth)
            case .path: Int64(pathBytes)
            case .name: Int64(nameBytes)
            }
        }
        set {
            switch name {
            case .bytes: bytes = newValue
            case .entries: entries = Int(clamping: newValue)
            case .ratio: ratio = newValue
            case .depth: depth = Int(clamping: newValue)
            case .path: pathBytes = Int(clamping: newValue)
            case .name: nameBytes = Int(clamping: newValue)
            }
        }
    }

    func exceeded(_ name: Name, _ what: String) -> TarError {
        TarError(
            code: .limitExceeded, message: "\(what); the limit \(name.rawValue) is \(self[name])",
            hint: "if you trust the image, raise \(name.rawValue) (\(name.variable))")
    }
}
