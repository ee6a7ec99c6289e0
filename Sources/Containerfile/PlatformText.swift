public import OCIModel

/// Platforms as `--platform` and build arguments write them.
public enum PlatformText {
    /// Reads `os/architecture[/variant]`, or an architecture alone; `x86_64`, `aarch64` and their like become Go's names.
    public static func parse(_ text: String) throws(InvalidValue) -> Platform {
        let parts = text.lowercased().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let isPlain = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7a) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x5f }
        }
        guard isPlain, (1...3).contains(parts.count) else {
            throw InvalidValue("\(SourceText.quoted(text)) is no platform", hint: "write it as in linux/amd64 or linux/arm/v7")
        }
        guard parts.count > 1 else {
            guard !["linux", "windows", "darwin", "freebsd"].contains(parts[0]) else {
                throw InvalidValue("the platform \(SourceText.quoted(text)) has no architecture", hint: "write \(parts[0])/amd64")
            }
            return normalized(os: "linux", parts[0], nil)
        }
        return normalized(os: parts[0], parts[1], parts.count == 3 ? parts[2] : nil)
    }

    private static func normalized(os: String, _ architecture: String, _ variant: String?) -> Platform {
        let (architecture, variant): (String, String?) =
            switch (architecture, variant) {
            case ("x86_64", _): ("amd64", variant)
            case ("amd64", "v1"): ("amd64", nil)
            case ("i386", _), ("i486", _), ("i586", _), ("i686", _): ("386", nil)
            case ("aarch64", "8"), ("aarch64", "v8"), ("aarch64", nil), ("arm64", "8"), ("arm64", "v8"): ("arm64", nil)
            case ("armhf", _), ("arm", nil), ("arm", "7"): ("arm", "v7")
            case ("armel", _): ("arm", "v6")
            case ("arm", "5"), ("arm", "6"), ("arm", "8"): ("arm", variant.map { "v\($0)" })
            default: (architecture, variant)
            }
        return Platform(architecture: architecture, os: os == "macos" ? "darwin" : os, variant: variant)
    }
}
