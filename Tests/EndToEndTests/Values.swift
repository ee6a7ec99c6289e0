import Foundation

// What the tests read of `--json`, written down once more: a field that is renamed breaks users' scripts.

struct ProjectValue: Decodable {
    var hook: String
    var secret: String
    var postReceive: String
}

struct RunValue: Decodable {
    var id: Int
    var state: String
    var phase: String
    var commit: String
    var digest: String?
    var error: String?
    var rerunOf: Int?
    var supersededBy: Int?
    var waitsFor: Int?
    var steps: [StepValue]?
    var deployments: [DeploymentValue]?
    var isOver: Bool { state != "queued" && state != "running" }
}

struct StepValue: Decodable {
    var name: String
    var state: String
    var exitCode: Int?
    var message: String?
    var attempt: Int
    var takenFrom: Int?
}

struct DeploymentValue: Decodable {
    var stage: String
    var state: String
    var digest: String
    var message: String?
    var logTail: String?
}

struct JobValue: Decodable {
    var id: Int
    var name: String
    var kind: String
    var state: String
    var digest: String
    var startedBy: String
    var exitCode: Int?
    var message: String?
    var command: [String]
    var scheduledFor: Double?
}

struct StatusValue: Decodable {
    var stages: [StageValue]
}

struct StageValue: Decodable {
    struct Waiting: Decodable { var digest: String }
    var stage: String
    var state: String
    var digest: String?
    var commit: String?
    var waiting: Waiting?
    var problem: String?
}

struct DeliveryValue: Decodable {
    var forge: String
    var state: String
    var outcome: String?
}

struct WebhookAnswer: Decodable {
    var delivery: Int
    var duplicate: Bool
}

extension ProjectValue {
    /// The same project, with its hook at another server.
    init(_ project: ProjectValue, at url: String) {
        self = project
        if let path = URL(string: project.hook)?.path { hook = url + path }
    }
}
