internal import DeliveryModel
internal import Yams

/// When deployments may begin, and when releases go on.
extension Reader {
    static let maximumWindows = 20

    func freeze(_ node: Node) -> [FreezeWindow]? {
        guard let items = list(node, "freeze", hint: "write [{cron: \"0 16 * * FRI\", for: 64h}]") else { return nil }
        if items.isEmpty { report(node, "'freeze' has no entry", "remove the key, or add a window") }
        if items.count > Self.maximumWindows {
            report(node, "more than \(Self.maximumWindows) windows")
            return nil
        }
        return items.compactMap { item in
            guard let fields = fields(item, .freeze), let cron = fields["cron"], let length = fields["for"] else { return nil }
            let schedule = schedule(cron, zone: fields["tz"])
            guard let seconds = duration(length, "for", 60...31_536_000), let schedule else { return nil }
            return FreezeWindow(cron: schedule, seconds: seconds)
        }
    }

    func promotion(_ node: Node) -> PromotionRule? {
        if case .scalar = node {
            guard let word = text(node, "promote") else { return nil }
            switch word {
            case "automatic": return .automatic
            case "manual": return .manual
            default:
                report(
                    node, "promote '\(word.prefix(40))' is unknown",
                    "write automatic, manual, {after: 30m}, {tag: \"v*\"} or {at: \"0 9 * * MON-FRI\"}")
                return nil
            }
        }
        guard let fields = fields(node, .promote) else { return nil }
        let rules = ["after", "tag", "at"].filter { fields[$0] != nil }
        guard rules.count == 1 else {
            if rules.count > 1 || fields.refused.isEmpty {
                report(node, "'promote' has one of after, tag and at, here are \(rules.count)", "write one of them")
            }
            return nil
        }
        if let zone = fields["tz"], fields["at"] == nil { report(zone, "'tz' goes with 'at' only", "remove it") }
        if let node = fields["after"] { return duration(node, "after", 1...31_536_000).map { .after($0) } }
        if let node = fields["tag"] { return text(node, "tag").map { .tag($0) } }
        return fields["at"].flatMap { schedule($0, zone: fields["tz"]) }.map { .at($0) }
    }

    /// UTC without a zone.
    func schedule(_ node: Node, zone: Node?) -> CronSchedule? {
        guard let text = text(node, "a schedule") else { return nil }
        var name = "UTC"
        if let zone {
            guard let given = self.text(zone, "tz") else { return nil }
            guard CronSchedule.isZone(given) else {
                report(zone, "there is no time zone '\(given.prefix(60))'", "write a name as in Europe/Berlin, or UTC")
                return nil
            }
            name = given
        }
        do { return try CronSchedule(text, zone: name) } catch {
            report(node, error.message, error.hint)
            return nil
        }
    }
}
