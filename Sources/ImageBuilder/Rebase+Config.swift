import OCIModel

/// A JSON value as it is, with keys nobody here knows.
enum JSONValue: Codable, Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else if let array = try? value.decode([JSONValue].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    var object: [String: JSONValue] { if case .object(let value) = self { value } else { [:] } }
    var array: [JSONValue] { if case .array(let value) = self { value } else { [] } }
    var string: String? { if case .string(let value) = self { value } else { nil } }
    /// Absent, null and empty say the same in a config.
    var isNothing: Bool {
        switch self {
        case .null: true
        case .string(let value): value.isEmpty
        case .array(let value): value.isEmpty
        case .object(let value): value.isEmpty
        default: false
        }
    }
}

/// The config of an image over another base: what it got from the old base comes from the new one, what was set stays. Keys unknown
/// to Slipway (health checks, shells, triggers, extensions) are treated the same way.
struct RebaseConfig {
    let image: JSONValue
    let old: JSONValue
    let new: JSONValue
    let oldLayers: Int

    /// Throws `.baseConflict` when a command was set for an entrypoint that changed.
    func merged() throws -> JSONValue {
        var result = image.object
        result["config"] = .object(try execution())
        let diffIDs = layers(new) + layers(image).dropFirst(oldLayers)
        result["rootfs"] = .object(["type": .string("layers"), "diff_ids": .array(diffIDs)])
        result["history"] = .array(history(layers: layers(image).count - oldLayers))
        for key in ["architecture", "os", "variant", "os.version", "os.features"] { result[key] = new.object[key] }
        return .object(result)
    }

    private func layers(_ config: JSONValue) -> [JSONValue] { config.object["rootfs"]?.object["diff_ids"]?.array ?? [] }

    // MARK: Execution

    private func execution() throws -> [String: JSONValue] {
        let (own, before, after) = (part(image), part(old), part(new))
        var result: [String: JSONValue] = [:]
        for key in Set(own.keys).union(after.keys).subtracting(["Entrypoint", "Cmd"]) {
            let (mine, was, now) = (own[key] ?? .null, before[key] ?? .null, after[key] ?? .null)
            let value: JSONValue
            switch key {
            case "Env": value = .array(environment(mine.array, was.array, now.array))
            case "Labels", "ExposedPorts", "Volumes":
                // Only what the image has of its own is laid over the new base's.
                let set = mine.object.filter { was.object[$0.key] != $0.value }
                value = .object(now.object.merging(set) { $1 })
            default: value = same(mine, was) ? now : mine
            }
            if !value.isNothing { result[key] = value }
        }
        let (entrypoint, command) = try start(own, before, after)
        if !entrypoint.isNothing { result["Entrypoint"] = entrypoint }
        if !command.isNothing { result["Cmd"] = command }
        return result
    }

    private func part(_ config: JSONValue) -> [String: JSONValue] { config.object["config"]?.object ?? [:] }

    private func same(_ left: JSONValue, _ right: JSONValue) -> Bool { left == right || (left.isNothing && right.isNothing) }

    /// Entrypoint and command belong together: setting the first forgets the second.
    private func start(
        _ own: [String: JSONValue], _ before: [String: JSONValue], _ after: [String: JSONValue]
    ) throws -> (JSONValue, JSONValue) {
        func value(_ config: [String: JSONValue], _ key: String) -> JSONValue { config[key] ?? .null }
        guard same(value(own, "Entrypoint"), value(before, "Entrypoint")) else {
            return (value(own, "Entrypoint"), value(own, "Cmd"))
        }
        if same(value(own, "Cmd"), value(before, "Cmd")) { return (value(after, "Entrypoint"), value(after, "Cmd")) }
        guard same(value(before, "Entrypoint"), value(after, "Entrypoint")) else {
            throw ImageBuilderError(
                code: .baseConflict, message: "the image sets Cmd for the entrypoint of the old base, which changed in the new one",
                hint: "build the image again over the new base")
        }
        return (value(own, "Entrypoint"), value(own, "Cmd"))
    }

    private func environment(_ own: [JSONValue], _ before: [JSONValue], _ after: [JSONValue]) -> [JSONValue] {
        func name(_ line: JSONValue) -> Substring { (line.string ?? "").prefix { $0 != "=" } }
        let inherited = Set(before)
        var set = own.filter { !inherited.contains($0) }
        var result = after.map { line in
            guard let index = set.firstIndex(where: { name($0) == name(line) }) else { return line }
            return set.remove(at: index)
        }
        result += set
        return result
    }

    // MARK: History

    /// The new base's lines, then the image's own. Every layer has its line: tools that unpack count them.
    private func history(layers own: Int) -> [JSONValue] {
        let base = filled(new.object["history"]?.array ?? [], layers(new).count)
        let lines = image.object["history"]?.array ?? []
        let before = old.object["history"]?.array ?? []
        var rest = lines[...]
        if lines.starts(with: before), Self.count(before) == oldLayers {
            rest = lines.dropFirst(before.count)
        } else {
            var left = oldLayers
            while left > 0, let line = rest.popFirst() { left -= Self.count([line]) }
        }
        return base + filled(Array(rest), own)
    }

    private func filled(_ lines: [JSONValue], _ layers: Int) -> [JSONValue] {
        let missing = max(0, layers - Self.count(lines))
        return [JSONValue](repeating: .object(["comment": .string("layer")]), count: missing) + lines
    }

    private static func count(_ lines: [JSONValue]) -> Int { lines.count { $0.object["empty_layer"] != .bool(true) } }
}
