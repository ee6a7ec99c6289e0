/// The values of one `--mount`, on their way to a ``Mount``.
struct MountOptions {
    private let flag: MountFlag
    private var kind: MountFlag.Kind = .bind
    private var given: [String: (value: String?, word: Word)] = [:]

    init(flag: MountFlag) { self.flag = flag }

    mutating func set(_ option: MountFlag.Option, _ value: String?) throws(ContainerfileError) {
        guard given[option.name] == nil else {
            throw option.word.error(.invalid, "'\(option.name)' is given twice")
        }
        given[option.name] = (value, option.word)
        if option.name == "type" {
            guard let value, let kind = MountFlag.Kind(rawValue: value.lowercased()) else {
                throw option.word.error(
                    .invalid, "\(SourceText.quoted(value ?? "")) is no type of mount",
                    suggestion: Suggestion.didYouMean(
                        value ?? "", among: MountFlag.Kind.allCases.map(\.rawValue), orList: true))
            }
            self.kind = kind
        }
    }

    func mount() throws(ContainerfileError) -> Mount {
        let allowed = MountFlag.options(of: kind)
        for option in flag.options where !allowed.contains(option.name) {
            throw option.word.error(
                .invalid, "a mount of type \(kind.rawValue) has no option '\(option.name)'",
                suggestion: "it has \(allowed.filter { MountFlag.canonical($0) == $0 }.joined(separator: ", "))")
        }
        switch kind {
        case .bind:
            return .bind(
                BindMount(
                    from: try text("from"), source: try text("source") ?? "/", target: try target(),
                    isReadOnly: try isReadOnly(default: true)))
        case .cache:
            let target = try target()
            return .cache(
                CacheMount(
                    id: try text("id") ?? Self.cleaned(target), target: target, sharing: try sharing(),
                    isReadOnly: try isReadOnly(default: false), from: try text("from"),
                    source: try text("source") ?? "/", mode: try mode(default: 0o755), uid: try owner("uid"),
                    gid: try owner("gid")))
        case .tmpfs: return .tmpfs(target: try target(), size: try size())
        case .secret: return try secret()
        case .ssh:
            return .ssh(
                SSHMount(
                    id: try text("id") ?? "default", target: try text("target"), isRequired: try flag("required"),
                    mode: try mode(default: 0o600), uid: try owner("uid"), gid: try owner("gid")))
        }
    }

    private func secret() throws(ContainerfileError) -> Mount {
        if let source = given["source"], given["id"] != nil {
            throw source.word.error(.invalid, "'source' and 'id' both name the secret", suggestion: "give one of them")
        }
        let target = try text("target"), variable = try text("env")
        let id = try text("id"), source = try text("source")
        guard let name = id ?? source ?? target.map(Self.lastComponent), !name.isEmpty else {
            throw flag.word.error(.invalid, "the secret has no name", suggestion: "give id=NAME")
        }
        return .secret(
            SecretMount(
                id: name, target: target ?? (variable == nil ? "/run/secrets/\(Self.lastComponent(name))" : nil),
                variable: variable, isRequired: try flag("required"), mode: try mode(default: 0o400),
                uid: try owner("uid"), gid: try owner("gid")))
    }

    /// A value that must not be empty when it is given.
    private func text(_ name: String) throws(ContainerfileError) -> String? {
        guard let (value, word) = given[name] else { return nil }
        guard let value, !value.isEmpty else {
            throw word.error(.invalid, "'\(name)' needs a value", suggestion: "write \(name)=…")
        }
        return value
    }

    private func target() throws(ContainerfileError) -> String {
        guard let target = try text("target") else {
            throw flag.word.error(
                .invalid, "the \(kind.rawValue) mount has no target", suggestion: "add target=/path")
        }
        guard Self.cleaned(target) != "/" else {
            throw flag.word.error(.invalid, "nothing can be mounted over /", suggestion: "give a folder below it")
        }
        return target
    }

    private func isReadOnly(default standard: Bool) throws(ContainerfileError) -> Bool {
        if let option = given["readwrite"], given["readonly"] != nil {
            throw option.word.error(.invalid, "'readonly' and 'readwrite' contradict each other")
        }
        if given["readonly"] != nil { return try flag("readonly") }
        if given["readwrite"] != nil { return try !flag("readwrite") }
        return standard
    }

    /// False when not given, true when given without a value.
    private func flag(_ name: String) throws(ContainerfileError) -> Bool {
        guard let (value, word) = given[name] else { return false }
        switch value {
        case nil, "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default:
            throw word.error(.invalid, "'\(name)' is true or false", suggestion: "write \(name)=true")
        }
    }

    private func sharing() throws(ContainerfileError) -> CacheMount.Sharing {
        guard let value = try text("sharing") else { return .shared }
        guard let sharing = CacheMount.Sharing(rawValue: value.lowercased()) else {
            throw flag.word.error(
                .invalid, "\(SourceText.quoted(value)) is no way of sharing",
                suggestion: Suggestion.didYouMean(
                    value, among: CacheMount.Sharing.allCases.map(\.rawValue), orList: true))
        }
        return sharing
    }

    private func mode(default standard: UInt32) throws(ContainerfileError) -> UInt32 {
        guard let value = try text("mode") else { return standard }
        guard value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x37 }), let mode = UInt32(value, radix: 8), mode <= 0o7777
        else {
            throw flag.word.error(
                .invalid, "\(SourceText.quoted(value)) is no file mode", suggestion: "write it in octal, as in mode=0755")
        }
        return mode
    }

    private func owner(_ name: String) throws(ContainerfileError) -> UInt32 {
        guard let value = try text(name) else { return 0 }
        guard value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let id = UInt32(value) else {
            throw flag.word.error(
                .invalid, "\(SourceText.quoted(value)) is no numeric \(name)", suggestion: "write it as in \(name)=1000")
        }
        return id
    }

    /// Bytes: a number with an optional unit k, m, g, t, p (of 1024), with or without b or ib.
    private func size() throws(ContainerfileError) -> Int64? {
        guard let value = try text("size") else { return nil }
        var digits = Substring(value.lowercased())
        for suffix in ["ib", "b"] where digits.hasSuffix(suffix) {
            digits = digits.dropLast(suffix.count)
            break
        }
        var shift = 0
        if let unit = digits.last, let index = ["k", "m", "g", "t", "p"].firstIndex(of: String(unit)) {
            shift = 10 * (index + 1)
            digits = digits.dropLast()
        }
        let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        guard isNumber, let number = Int64(digits), number > 0, number <= Int64.max >> Int64(shift) else {
            throw flag.word.error(
                .invalid, "\(SourceText.quoted(value)) is no size", suggestion: "write it as in size=64m")
        }
        return number << Int64(shift)
    }

    private static func lastComponent(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? ""
    }

    /// Without empty, `.` and `..` components.
    private static func cleaned(_ path: String) -> String {
        var components: [Substring] = []
        for component in path.split(separator: "/") where component != "." {
            if component != ".." { components.append(component) } else { _ = components.popLast() }
        }
        return (path.hasPrefix("/") ? "/" : "") + components.joined(separator: "/")
    }
}
