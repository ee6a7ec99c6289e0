/// How many instances a service has, by what they have to do.
public struct AutoscaleRule: Codable, Hashable, Sendable {
    public var min: Int
    public var max: Int
    /// Requests in flight that one instance is meant to have; nil: not looked at.
    public var requests: Double?
    /// The part of its processors that one instance is meant to use, 0.01…1; nil: not looked at.
    public var cpu: Double?
    /// Seconds for which fewer instances must have been enough before one goes.
    public var cooldown: Double

    public init(min: Int, max: Int, requests: Double? = nil, cpu: Double? = nil, cooldown: Double = 60) {
        self.min = min
        self.max = max
        self.requests = requests
        self.cpu = cpu
        self.cooldown = cooldown
    }

    public func clamp(_ replicas: Int) -> Int { Swift.min(max, Swift.max(min, replicas)) }
}

/// What all instances of a service did in a span of time.
public struct ServiceLoad: Hashable, Sendable {
    /// Requests in flight on average; nil when nobody knows.
    public var requests: Double?
    /// Processors in use on average, as a part of what the instances may use; nil when nobody knows.
    public var cpu: Double?

    public init(requests: Double? = nil, cpu: Double? = nil) {
        self.requests = requests
        self.cpu = cpu
    }
}

/// How many instances a stage has, and why.
public struct Scale: Codable, Hashable, Sendable {
    public var project: String
    public var pipeline: String
    public var stage: String
    public var replicas: Int
    public var reason: String
    /// Seconds since 1970.
    public var at: Double

    public init(project: String, pipeline: String, stage: String, replicas: Int, reason: String, at: Double) {
        self.project = project
        self.pipeline = pipeline
        self.stage = stage
        self.replicas = replicas
        self.reason = reason
        self.at = at
    }

    public var sentence: String { "\(replicas == 1 ? "1 instance" : "\(replicas) instances"): \(reason)" }
}

/// Decides about one service, look by look. Pure but for what it remembers of the looks before.
///
/// As many instances as each measure wants, the larger number: what there are, times what they have, by what they are meant to have
/// (Kubernetes, Horizontal Pod Autoscaling). A tenth more or less is let be. More come at once; fewer only when they were enough for the
/// whole cool-down.
public struct Autoscaler: Hashable, Sendable {
    /// What it wanted lately, oldest first.
    private var looks: [Look] = []

    private struct Look: Hashable, Sendable {
        var at: Double
        var replicas: Int
        var reason: String
    }

    static let tolerance = 0.1

    public init() {}

    /// - Parameter now: seconds on a clock that does not go back.
    /// - Returns: what there shall be and why; nil when it stays as it is.
    public mutating func look(_ load: ServiceLoad, replicas: Int, _ rule: AutoscaleRule, at now: Double) -> (replicas: Int, reason: String)? {
        guard replicas >= rule.min, replicas <= rule.max else {
            let clamped = rule.clamp(replicas)
            return (clamped, "\(rule.min) to \(rule.max) are allowed")
        }
        let wanted = Self.wanted(load, replicas, rule)
        let span = looks.first.map { now - $0.at } ?? 0
        looks.append(Look(at: now, replicas: wanted.replicas, reason: wanted.reason))
        looks.removeAll { $0.at < now - rule.cooldown }
        if wanted.replicas > replicas {
            looks = []
            return wanted
        }
        // Not judged by less than a whole cool-down: it may just have begun.
        guard span >= rule.cooldown, let most = looks.max(by: { $0.replicas < $1.replicas }), most.replicas < replicas else { return nil }
        looks = []
        return (most.replicas, "\(most.reason), for \(Int(rule.cooldown)) s")
    }

    private static func wanted(_ load: ServiceLoad, _ replicas: Int, _ rule: AutoscaleRule) -> (replicas: Int, reason: String) {
        var wishes: [(replicas: Int, reason: String)] = []
        if let target = rule.requests, let requests = load.requests {
            let ratio = requests / Double(replicas) / target
            wishes.append((wish(replicas, ratio), "\(text(requests)) requests in flight, \(text(target)) for each instance"))
        }
        if let target = rule.cpu, let cpu = load.cpu {
            wishes.append(
                (wish(replicas, cpu / target), "\(Int((cpu * 100).rounded())) % of the processors in use, \(Int((target * 100).rounded())) % wanted"))
        }
        // Whoever is not told anything leaves things as they are.
        guard let most = wishes.max(by: { $0.replicas < $1.replicas }) else { return (replicas, "nothing is known of the load") }
        return (rule.clamp(most.replicas), most.reason)
    }

    private static func wish(_ replicas: Int, _ ratio: Double) -> Int {
        guard ratio.isFinite, abs(ratio - 1) > tolerance else { return replicas }
        return Int((Double(replicas) * ratio).rounded(.up))
    }

    private static func text(_ number: Double) -> String {
        let tenths = (number * 10).rounded() / 10
        return tenths == tenths.rounded() ? "\(Int(tenths))" : "\(tenths)"
    }
}
