import DeliveryModel
import Foundation
import PipelineEngine
import Yams

/// The parts `people` and `freeze` of a `slipway.yaml`; the same text may stand in `SLIPWAY_PEOPLE` and `SLIPWAY_FREEZE`, which win.
/// docs/server.md describes them.
enum GovernanceFile {
    /// - Throws: ``Failure`` naming file, line and column.
    static func read(file: String?, environment: [String: String]) throws -> Governance {
        var root: Node?
        if let file {
            let text: String
            do { text = try String(contentsOfFile: file, encoding: .utf8) } catch {
                throw Failure("the configuration \(file) cannot be read", hint: "docs/server.md describes the file", status: Failure.usage)
            }
            root = try compose(text, file)
        }
        let place = file ?? "slipway.yaml"
        var governance = Governance()
        if let text = environment["SLIPWAY_PEOPLE"] {
            governance.people = try Part(file: "SLIPWAY_PEOPLE").people(try compose(text, "SLIPWAY_PEOPLE"))
        } else {
            governance.people = try Part(file: place).people(root?["people"])
        }
        if let text = environment["SLIPWAY_FREEZE"] {
            governance.freeze = try Part(file: "SLIPWAY_FREEZE").freeze(try compose(text, "SLIPWAY_FREEZE"))
        } else {
            governance.freeze = try Part(file: place).freeze(root?["freeze"])
        }
        return governance
    }

    private static func compose(_ text: String, _ file: String) throws -> Node? {
        do { return try Yams.compose(yaml: text) } catch {
            throw Failure("\(file): \(error)", hint: "docs/server.md describes it", status: Failure.usage)
        }
    }
}

private struct Part {
    let file: String

    private func wrong(_ node: Node, _ what: String, hint: String) -> Failure {
        let place = node.mark.map { ":\($0.line):\($0.column)" } ?? ""
        return Failure("\(file)\(place): \(what)", hint: hint, status: Failure.usage)
    }

    func people(_ node: Node?) throws -> People {
        guard let node, node.null == nil else { return People() }
        let hint = "write people: {ann: {emails: [ann@example.com], groups: [sre]}}"
        guard let mapping = node.mapping else { throw wrong(node, "people is not a mapping of names", hint: hint) }
        var people = People()
        for (key, value) in mapping {
            guard let name = key.string, isName(name) else {
                throw wrong(
                    key, "'\((key.string ?? "").prefix(60))' is not a person's name", hint: "use letters, digits, '_', '-', '.' and '@', at most 128")
            }
            guard name != People.administrator, name != "slipway" else {
                throw wrong(key, "'\(name)' is the server's own name", hint: "call the person something else")
            }
            var person = People.Person()
            for (key, list) in try fields(value, of: name, hint: hint) {
                switch key {
                case "emails": person.emails = try texts(list, "emails of \(name)")
                case "groups": person.groups = try texts(list, "groups of \(name)")
                default: throw wrong(list, "\(name): there is no '\(key)'", hint: "choose emails or groups")
                }
            }
            people.persons[name] = person
        }
        return people
    }

    func freeze(_ node: Node?) throws -> [FreezeWindow] {
        guard let node, node.null == nil else { return [] }
        let hint = "write freeze: {weekend: {cron: \"0 16 * * FRI\", for: 64h, tz: Europe/Berlin}}"
        guard let mapping = node.mapping else { throw wrong(node, "freeze is not a mapping of names to windows", hint: hint) }
        return try mapping.map { key, item in
            var (cron, zone, length) = ("", "UTC", Double?.none)
            let name = key.string ?? ""
            for (key, value) in try fields(item, of: "freeze \(name)", hint: hint) {
                switch key {
                case "cron": cron = value.string ?? ""
                case "tz": zone = value.string ?? ""
                case "for":
                    guard let duration = Quantities.duration(value.string ?? ""), duration >= .seconds(60), duration <= .seconds(31_536_000) else {
                        throw wrong(
                            value, "for: '\((value.string ?? "").prefix(40))' is not a duration from 1m to 365d", hint: "write as in 64h or 2d")
                    }
                    length = duration / .seconds(1)
                default: throw wrong(value, "freeze \(name) has no '\(key)'", hint: "choose cron, for and tz")
                }
            }
            guard let length else { throw wrong(item, "the freeze has no length", hint: hint) }
            do { return FreezeWindow(cron: try CronSchedule(cron, zone: zone), seconds: length) } catch let error as CronSchedule.Invalid {
                throw wrong(item, error.message, hint: error.hint)
            }
        }
    }

    private func fields(_ node: Node, of name: String, hint: String) throws -> [(String, Node)] {
        if node.null != nil { return [] }
        guard let mapping = node.mapping else { throw wrong(node, "\(name) is not a mapping", hint: hint) }
        return mapping.map { ($0.string ?? "", $1) }
    }

    private func texts(_ node: Node, _ what: String) throws -> [String] {
        guard let list = node.sequence, list.allSatisfy({ $0.string?.isEmpty == false }) else {
            throw wrong(node, "\(what) is not a list", hint: "write [one, two]")
        }
        return list.compactMap(\.string)
    }

    /// As in `approval.from` of a pipeline file.
    private func isName(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasPrefix(".")
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || [0x2d, 0x2e, 0x5f, 0x40].contains(byte)
            }
    }
}
