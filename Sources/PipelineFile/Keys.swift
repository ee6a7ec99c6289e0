/// The keys a mapping of a pipeline file may have. The published schema and docs/pipeline.md hold the same
/// keys; a test compares them.
struct KeySet: Sendable {
    /// The name of the mapping in the schema's `$defs`.
    let name: String
    /// How messages call it.
    let title: String
    let keys: [String]
    let required: [String]
    /// Other accepted spellings, and the key each stands for.
    let synonyms: [String: String]
    /// Keys of the format that this version does not do.
    let notYet: [String]

    init(
        _ name: String, title: String? = nil, _ keys: [String], required: [String] = [],
        synonyms: [String: String] = [:], notYet: [String] = []
    ) {
        self.name = name
        self.title = title ?? name
        self.keys = keys
        self.required = required
        self.synonyms = synonyms
        self.notYet = notYet
    }

    static let pipeline = KeySet(
        "pipeline", title: "the pipeline", ["when", "concurrency", "steps", "build", "service", "stages", "train", "requires"],
        notYet: ["matrix", "cache", "services"])
    static let concurrency = KeySet("concurrency", ["group", "cancel"], required: ["group"])
    static let trigger = KeySet("trigger", title: "an entry of when", ["event", "branch", "path"])
    static let filter = KeySet("filter", ["include", "exclude"])
    static let step = KeySet(
        "step", ["name", "image", "commands", "environment", "depends_on", "timeout", "retries", "limits"],
        required: ["name", "image", "commands"],
        synonyms: ["needs": "depends_on", "run": "commands", "script": "commands", "env": "environment"])
    static let secret = KeySet("secret", title: "a value from a secret", ["from_secret"], required: ["from_secret"])
    static let limits = KeySet("limits", ["memory", "cpus", "pids"])
    static let build = KeySet(
        "build",
        [
            "image", "base", "copy", "entrypoint", "cmd", "environment", "user", "workdir", "ports", "labels", "file",
            "target", "arguments", "secrets",
        ],
        required: ["image"], synonyms: ["env": "environment", "args": "arguments"])
    /// Of ``build``: what stands in the Containerfile when there is one, and what goes with one only.
    static let besideContainerfile = ["base", "copy", "entrypoint", "cmd", "environment", "user", "workdir", "ports"]
    static let withContainerfile = ["target", "arguments", "secrets"]
    static let copy = KeySet("copy", title: "an entry of copy", ["from", "to", "mode"], required: ["from", "to"])
    static let service = KeySet(
        "service",
        ["command", "environment", "port", "health", "limits", "replicas", "read_only", "tmpfs", "capabilities", "jobs", "cron"],
        synonyms: ["env": "environment"])
    static let jobs = KeySet("jobs", ["before", "after"])
    static let job = KeySet("job", title: "a job", ["name", "command", "timeout", "limits", "on_rollback"], required: ["name", "command"])
    static let cron = KeySet(
        "cron", title: "an entry of cron", ["name", "schedule", "tz", "command", "timeout", "limits", "overlap"],
        required: ["name", "schedule", "command"])
    static let health = KeySet(
        "health",
        ["path", "status", "body", "headers", "tcp", "command", "interval", "timeout", "healthy", "unhealthy", "grace"])
    static let stage = KeySet(
        "stage",
        [
            "name", "target", "host", "paths", "strip_prefix", "legacy", "after", "approval", "environment", "replicas", "drain", "strategy", "soak",
            "freeze", "promote", "autoscale",
        ],
        required: ["name"], synonyms: ["env": "environment", "path": "paths"])
    static let autoscale = KeySet("autoscale", ["min", "max", "requests", "cpu", "cooldown"], required: ["max"])
    static let approval = KeySet("approval", ["count", "from", "not_author", "expires"])

    static let strategy = KeySet("strategy", ["blue_green", "rolling", "canary"])
    static let blueGreen = KeySet("blue_green", ["preview", "pause"])
    static let rolling = KeySet("rolling", ["max_surge", "max_unavailable", "ready"])
    static let canary = KeySet("canary", ["weights", "every", "abort_if", "pin"])
    static let abortIf = KeySet("abort_if", ["error_rate", "p99", "p50", "query", "minimum"])

    static let freeze = KeySet("freeze", title: "an entry of freeze", ["cron", "for", "tz"], required: ["cron", "for"])
    static let promote = KeySet("promote", ["after", "tag", "at", "tz"])

    static let all: [KeySet] = [
        pipeline, concurrency, trigger, filter, step, secret, limits, build, copy, service, jobs, job, cron, health, stage, approval, strategy,
        blueGreen, rolling, canary, abortIf, freeze, promote, autoscale,
    ]
}
