internal import DeliveryModel
internal import Yams

/// What runs in the image of a release besides its instances.
extension Reader {
    static let maximumJobs = 20

    func jobs(_ node: Node) -> DeploymentJobs? {
        guard let fields = fields(node, .jobs) else { return nil }
        var names: Set<String> = []
        func read(_ key: String) -> [ServiceJob] {
            guard let node = fields[key], let items = list(node, key, hint: "write [{name: migrate, command: [/bin/app, migrate]}]") else {
                return []
            }
            if items.isEmpty { report(node, "'\(key)' has no entry", "remove the key, or add a job") }
            if items.count > Self.maximumJobs {
                report(node, "more than \(Self.maximumJobs) jobs")
                return []
            }
            return items.compactMap { item in
                guard let fields = self.fields(item, .job), var job = job(fields, &names) else { return nil }
                job.onRollback = fields["on_rollback"].flatMap { bool($0, "on_rollback") }
                return job
            }
        }
        return DeploymentJobs(before: read("before"), after: read("after"))
    }

    func cron(_ node: Node) -> [CronJob]? {
        guard let items = list(node, "cron", hint: "write [{name: cleanup, schedule: \"*/30 * * * *\", command: [/bin/app, cleanup]}]") else {
            return nil
        }
        if items.isEmpty { report(node, "'cron' has no entry", "remove the key, or add a job") }
        if items.count > Self.maximumJobs {
            report(node, "more than \(Self.maximumJobs) jobs")
            return nil
        }
        var names: Set<String> = []
        return items.compactMap { item in
            guard let fields = fields(item, .cron) else { return nil }
            let job = job(fields, &names)
            let schedule = fields["schedule"].flatMap { self.schedule($0, zone: fields["tz"]) }
            let overlap = fields["overlap"].flatMap { text($0, "overlap") } ?? "skip"
            if !["skip", "allow"].contains(overlap), let node = fields["overlap"] {
                report(node, "overlap '\(overlap.prefix(40))' is unknown", "write skip or allow")
            }
            guard let job, let schedule else { return nil }
            return CronJob(job, schedule: schedule, overlaps: overlap == "allow")
        }
    }

    /// What all jobs have.
    private func job(_ fields: Fields, _ names: inout Set<String>) -> ServiceJob? {
        let name = fields["name"].flatMap { self.name($0, "job name") }
        if let name, let node = fields["name"], !names.insert(name).inserted {
            report(node, "there are two jobs '\(name)'", "give every job a name of its own")
        }
        let command = fields["command"].flatMap { arguments($0, "command") }
        if let command, command.first?.isEmpty != false, let node = fields["command"] {
            report(node, "'command' names no program", "write [/bin/app, migrate]")
        }
        guard let name, let command else { return nil }
        return ServiceJob(
            name: name, command: command, timeout: fields["timeout"].flatMap { duration($0, "timeout", 1...86400) } ?? 600,
            limits: fields["limits"].map { limits($0) })
    }
}
