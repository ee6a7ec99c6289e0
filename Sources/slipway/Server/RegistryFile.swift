import Foundation
import RegistryClient
import SystemPackage
import Yams

/// How single registries are reached: the part `registries: hosts:` of a `slipway.yaml`. docs/registries.md describes it.
struct RegistryFile: Sendable {
    private let hosts: [String: RegistrySettings]

    static let none = RegistryFile(hosts: [:])

    private init(hosts: [String: RegistrySettings]) { self.hosts = hosts }

    /// The settings of `host[:port]`; the usual ones when the file has none.
    subscript(host: String) -> RegistrySettings { hosts[host.lowercased()] ?? RegistrySettings() }

    /// Paths in the file are relative to its folder.
    ///
    /// - Throws: ``Failure`` naming file, line and column.
    init(file: String) throws {
        let text: String
        do { text = try String(contentsOfFile: file, encoding: .utf8) } catch {
            throw Failure("the configuration \(file) cannot be read", hint: "docs/server.md describes the file", status: Failure.usage)
        }
        try self.init(parsing: text, file: file)
    }

    init(parsing text: String, file: String) throws {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw Failure("\(file): \(error)", hint: "docs/server.md describes the file", status: Failure.usage)
        }
        let section = Section(file: file, folder: URL(fileURLWithPath: file).deletingLastPathComponent().path)
        var hosts: [String: RegistrySettings] = [:]
        for (key, value) in try section.entries(root?["registries"]?["hosts"], "registries.hosts") {
            hosts[key.lowercased()] = try section.settings(value, of: key)
        }
        self.hosts = hosts
    }
}

/// Reads the settings of registries out of one file.
private struct Section {
    let file: String
    let folder: String

    static let keys = [
        "plain_http", "certificate_authority", "client_certificate", "client_key", "mirrors", "allow_private_addresses", "chunk_size",
    ]

    func wrong(_ node: Node, _ what: String, hint: String) -> Failure {
        let place = node.mark.map { ":\($0.line):\($0.column)" } ?? ""
        return Failure("\(file)\(place): \(what)", hint: hint, status: Failure.usage)
    }

    func entries(_ node: Node?, _ name: String) throws -> [(String, Node)] {
        guard let node, node.null == nil else { return [] }
        guard let mapping = node.mapping else {
            throw wrong(node, "\(name) is not a list of names with values", hint: "write NAME: {KEY: VALUE}")
        }
        return try mapping.map { key, value in
            guard let text = key.string else { throw wrong(key, "\(name): a key is not text", hint: "write it in quotes") }
            return (text, value)
        }
    }

    func settings(_ node: Node, of host: String) throws -> RegistrySettings {
        var settings = RegistrySettings()
        for (key, value) in try entries(node, host) {
            switch key {
            case "plain_http": settings.plainHTTP = try flag(value, key)
            case "allow_private_addresses": settings.allowsPrivateAddresses = try flag(value, key)
            case "certificate_authority": settings.certificateAuthority = try path(value, key)
            case "client_certificate": settings.clientCertificate = try path(value, key)
            case "client_key": settings.clientKey = try path(value, key)
            case "chunk_size": settings.chunkSize = try size(value)
            case "mirrors":
                guard let list = value.sequence, list.allSatisfy({ $0.string?.isEmpty == false }) else {
                    throw wrong(value, "\(host): mirrors is not a list of hosts", hint: "write [mirror.example.com, …]")
                }
                settings.mirrors = list.compactMap(\.string)
            default:
                throw wrong(
                    value, "\(host): there is no setting '\(key)'", hint: "choose one of \(Self.keys.joined(separator: ", "))")
            }
        }
        return settings
    }

    private func flag(_ node: Node, _ key: String) throws -> Bool {
        guard let value = node.bool else { throw wrong(node, "\(key) is neither true nor false", hint: "write true or false") }
        return value
    }

    private func path(_ node: Node, _ key: String) throws -> FilePath {
        guard let text = node.string, !text.isEmpty else { throw wrong(node, "\(key) is not a path", hint: "name a PEM file") }
        return text.hasPrefix("/") ? FilePath(text) : FilePath(folder).appending(text)
    }

    /// Bytes, or with KiB, MiB, GiB.
    private func size(_ node: Node) throws -> Int64 {
        let text = node.string ?? ""
        let number = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(number.count).drop { $0 == " " }
        let factors: [Substring: Int64] = ["": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
        guard let value = Int64(number), let factor = factors[unit], value <= (1 << 40) / factor else {
            throw wrong(node, "chunk_size '\(text.prefix(40))' is not a size", hint: "write for example 32MiB; 0 sends blobs in one piece")
        }
        return value * factor
    }
}
