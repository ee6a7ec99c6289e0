import ContainerfileBuild
import Foundation
import SystemPackage

/// One folder of `Tests/Fixtures/containerfiles`: a Containerfile with its context.
struct CorpusCase: Sendable, CustomStringConvertible {
    struct Options: Decodable {
        var arguments: [String: String]?
        var secrets: [String: String]?
        var target: String?
    }

    /// What must come out where buildah cannot tell.
    struct Expected: Decodable {
        struct File: Decodable {
            var type: String
            var mode: String?
            var uid: UInt32?
            var gid: UInt32?
            var content: String?
            var target: String?
        }

        /// Nothing else is there.
        var complete: Bool?
        var files: [String: File]?
        var absent: [String]?
        /// Keys of the config that must be as here.
        var config: [String: JSONValue]?
    }

    let name: String
    let folder: FilePath
    var description: String { name }

    static let all: [CorpusCase] = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/containerfiles")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        return names.sorted().filter { $0.first?.isNumber == true }.map { CorpusCase(name: $0, folder: FilePath(root.path).appending($0)) }
    }()

    var options: Options { get throws { try decode("options.json") ?? Options() } }
    var expected: Expected? { get throws { try decode("expected.json") } }
    /// Why buildah cannot build it.
    var buildahLacks: String? { try? String(contentsOfFile: folder.appending("buildah-lacks").string, encoding: .utf8) }

    private func decode<T: Decodable>(_ name: String) throws -> T? {
        guard let data = FileManager.default.contents(atPath: folder.appending(name).string) else { return nil }
        return try JSONDecoder().decode(T.self, from: data)
    }

    /// A copy of the folder. Owners and modes are fixed: a checkout has whatever the umask gave it.
    func prepare(in place: FilePath) async throws -> FilePath {
        let context = place.appending(name)
        try await shell(
            "mkdir -p \"$(dirname \"$1\")\" && cp -a \"$0\" \"$1\"", folder.string,
            context.string)
        try await shell("chown -hR 0:0 \"$0\" && chmod -R u=rwX,go=rX \"$0\"", context.string)
        return context
    }

    func build(_ yard: Yard, context: FilePath) async throws -> ContainerfileImage {
        let options = try options
        let request = ContainerfileBuildRequest(
            containerfile: context.appending("Containerfile"), context: context, target: options.target,
            arguments: options.arguments ?? [:], secrets: (options.secrets ?? [:]).mapValues { Array($0.utf8) }, timestamp: 0,
            network: .none)
        return try await yard.builder.build(request)
    }
}

/// Any JSON, to be compared.
enum JSONValue: Decodable, Equatable, CustomStringConvertible {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    /// Nothing in it: how absent keys are written differs.
    var isEmpty: Bool {
        switch self {
        case .null: true
        case .string(let value): value.isEmpty
        case .list(let value): value.isEmpty
        case .object(let value): value.isEmpty
        case .bool, .number: false
        }
    }

    /// Whether everything in `other` is here, too; an object may hold more.
    func contains(_ other: JSONValue) -> Bool {
        guard case .object(let own) = self, case .object(let wanted) = other else { return self == other }
        return wanted.allSatisfy { own[$0.key]?.contains($0.value) ?? false }
    }

    var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): "\"\(value)\""
        case .list(let value): "\(value)"
        case .object(let value): "\(value.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" })"
        }
    }
}
