import DeliveryModel

/// A stage with a version that serves, two deployments that want its place, several servers that claim, die, freeze and wake,
/// releases that are bad, people who cancel: everything from one seed. After each small thing that happens the rules are checked.
///
/// What the servers do is what `RolloutProgress` asks for, in the way `Rollout` and `PipelineEngine` do it: intent is recorded,
/// each task looks at what is there, and targets and router refuse whoever was taken over.
public struct RolloutSimulation {
    /// What came of the deployments, to see that the chances reach everything.
    public struct Summary: Sendable {
        public var ends: [String]
        public var takeOvers: Int
        public var things: Int
        public var refusals: Int
    }

    private enum Badness { case none, neverHealthy, crashes }

    private struct Row {
        var progress = RolloutProgress()
        var schedule: RolloutSchedule
        var badness: Badness
        var epoch = 0
        var leaseEnds = 0.0
        var previous: Int?
        var hasBegun = false
        var isCreated = true
        var isCancelAsked = false
        var resumedWave: Int?
    }

    private struct Work {
        var row: Int
        var epoch: Int
        var renewedAt: Double
        var progress: RolloutProgress
        var isAdmitted = false
        /// How far the task is, and what it found out on the way.
        var stage = 0
        var route: SimulatedRoute?
    }

    private struct Holder {
        var isFrozen = false
        var work: Work?
    }

    private static let lease = 10.0

    private let isTracing: Bool
    private var trace: [String] = []
    private var chance: Chance
    private var now = 1000.0
    private var rows: [Row]
    private var site = SimulatedSite()
    private var jobs = SimulatedJobs()
    private var holders: [Holder]
    private var isCalm = false
    private var things = 0
    private var refusals = 0
    /// The first of the two deployments goes in it.
    private let train: SimulatedTrain?
    private let pipeline: String

    init(seed: UInt64, isTracing: Bool, train: SimulatedTrain? = nil, pipeline: String = "") {
        self.isTracing = isTracing
        self.train = train
        self.pipeline = pipeline
        chance = Chance(seed: seed)
        rows = []
        holders = Array(repeating: Holder(), count: 1 + chance.below(3))
        let serving = chance.oneIn(8) ? 0 : 1 + chance.below(4)
        if serving > 0 {
            rows.append(Row(schedule: RolloutSchedule(wanted: serving, serving: 0), badness: .none))
            rows[0].progress = RolloutProgress(phase: .succeeded)
            let keys = (0..<serving).map { InstanceKey(deployment: 0, replica: $0) }
            for key in keys { site.instances[key] = .healthy }
            site.route = SimulatedRoute(owner: 0, upstreams: Set(keys), share: 1000)
        }
        for _ in 0..<2 {
            let schedule = RolloutSchedule(
                strategy: Self.strategy(&chance), wanted: 1 + chance.below(4), serving: 0, soak: chance.oneIn(3) ? 5 : 0,
                before: Array(["migrate", "check"].prefix(chance.below(3))), after: Array(["warm", "tell"].prefix(chance.below(3))))
            let badness: Badness = chance.oneIn(train == nil ? 3 : 8) ? (chance.oneIn(2) ? .neverHealthy : .crashes) : .none
            rows.append(Row(schedule: schedule, badness: badness))
        }
        rows[rows.count - 1].isCreated = false
        if train != nil { rows[rows.count - 2].schedule.isInTrain = true }
        tellTrain()
    }

    /// The number of the deployment that goes in the train.
    private var member: Int? { train == nil ? nil : rows.count - 2 }

    private func tellTrain() {
        if let member { train?.members[pipeline] = rows[member].progress }
    }

    private static func strategy(_ chance: inout Chance) -> RolloutStrategy {
        let hold: RolloutStrategy.Hold = chance.oneIn(3) ? .manual : .seconds(5)
        switch chance.below(4) {
        case 0: return .blueGreen(.init(preview: chance.oneIn(2) ? "preview" : nil, pause: chance.oneIn(2) ? hold : nil))
        case 1: return .rolling(.init(maxSurge: 1 + chance.below(2), maxUnavailable: chance.below(3)))
        case 2: return .rolling(.init(maxSurge: 0, maxUnavailable: 1 + chance.below(3)))
        default: return .canary(.init(weights: [50, 250, 500].filter { _ in !chance.oneIn(3) } + [750], hold: hold))
        }
    }

    /// - Throws: ``Violation`` with the seed and what happened before.
    public static func run(seed: UInt64) throws(Violation) -> Summary {
        var simulation = RolloutSimulation(seed: seed, isTracing: false)
        do { return try simulation.run() } catch {
            var again = RolloutSimulation(seed: seed, isTracing: true)
            _ = try? again.run()
            throw Violation("rollout seed \(seed): \(error)\n" + again.trace.suffix(60).joined(separator: "\n"))
        }
    }

    private mutating func run() throws(Violation) -> Summary {
        for _ in 0..<60 + chance.below(160) { try shake() }
        calmDown()
        for number in 0..<6000 {
            if number % 16 == 0, isQuiet { break }
            try anything()
        }
        return try end()
    }

    mutating func shake() throws(Violation) {
        chaos()
        try anything()
    }

    /// From now on nothing breaks.
    mutating func calmDown() {
        isCalm = true
        for index in holders.indices { holders[index].isFrozen = false }
    }

    func end() throws(Violation) -> Summary {
        try checkEnd()
        return Summary(
            ends: rows.dropFirst(rows.count - 2).map(\.progress.phase.rawValue), takeOvers: rows.map { max(0, $0.epoch - 1) }.reduce(0, +),
            things: things, refusals: refusals)
    }

    var isQuiet: Bool {
        rows.allSatisfy(\.progress.phase.isTerminal) && holders.allSatisfy { $0.work == nil } && isWhole
    }

    private var live: Int? { rows.lastIndex { $0.progress.phase == .succeeded } }

    /// Whether the live version has all its instances, as the supervisor wants it.
    private var isWhole: Bool {
        guard let live else { return true }
        return site.running(live).count == rows[live].schedule.wanted && site.route?.upstreams == Set(site.running(live))
    }

    private func checkEnd() throws(Violation) {
        guard isQuiet else { throw Violation("it does not come to an end: \(rows.map(\.progress.phase)), \(site)") }
        for key in site.instances.keys where key.deployment != live {
            throw Violation("an instance of deployment \(key.deployment) is left, and \(live.map(String.init) ?? "none") is live")
        }
        if let live {
            if site.route?.owner != live { throw Violation("\(live) is live, and the route belongs to \(String(describing: site.route?.owner))") }
        } else if site.route != nil {
            throw Violation("nothing is live, and there is a route")
        }
    }

    private mutating func note(_ text: @autoclosure () -> String) {
        if isTracing { trace.append("\(things) t=\(Int(now)) \(text())") }
    }

    // MARK: What happens around the servers

    private mutating func chaos() {
        switch chance.below(200) {
        case 0..<6:
            let index = chance.below(holders.count)
            note("holder \(index) dies")
            holders[index] = Holder()
        case 6..<11:
            let index = chance.below(holders.count)
            note("holder \(index) freezes")
            holders[index].isFrozen = true
        case 11..<18:
            let index = chance.below(holders.count)
            holders[index].isFrozen = false
        case 18..<21: now += 12
        case 21:
            let index = chance.below(rows.count)
            if !rows[index].progress.phase.isTerminal {
                note("deployment \(index) is to be cancelled")
                rows[index].isCancelAsked = true
            }
        case 22..<24:
            let keys = site.instances.keys.sorted { ($0.deployment, $0.replica) < ($1.deployment, $1.replica) }
            if !keys.isEmpty {
                let key = keys[chance.below(keys.count)]
                note("\(key) crashes")
                site.instances[key] = .crashed
            }
        default: break
        }
    }

    mutating func anything() throws(Violation) {
        things += 1
        now += chance.between(0...0.5)
        if chance.oneIn(20), let bad = site.instances.keys.filter({ rows[$0.deployment].badness == .crashes }).min(by: { $0.replica < $1.replica }) {
            note("\(bad) of a bad release crashes")
            site.instances[bad] = .crashed
        }
        if let last = rows.indices.last, !rows[last].isCreated, isCalm || chance.oneIn(40) {
            note("deployment \(last) is created")
            rows[last].isCreated = true
            for index in rows.indices where index != last && index != member && rows[index].progress.phase == .queued {
                rows[index].progress = RolloutProgress(phase: .superseded)
                rows[index].leaseEnds = 0
            }
        }
        if chance.oneIn(10) { try supervise() }
        if chance.oneIn(15) { site.busy = site.busy.filter { key in site.route?.upstreams.contains(key) == true } }
        let index = chance.below(holders.count)
        try act(index)
        try runJobs()
        if rows.count(where: { $0.progress.phase.isActive }) > 1 { throw Violation("two deployments of the stage are under way") }
    }

    /// Keeps what is live running while nothing is deployed.
    private mutating func supervise() throws(Violation) {
        guard let live, !rows.contains(where: { $0.progress.phase.isActive }), !rows.contains(where: { $0.hasBegun && !$0.progress.phase.isTerminal })
        else { return }
        for replica in 0..<rows[live].schedule.wanted {
            let key = InstanceKey(deployment: live, replica: replica)
            if site.instances[key] == nil || site.instances[key] == .crashed { site.instances[key] = .healthy }
        }
        if site.route?.owner == live || site.route == nil {
            try site.write(SimulatedRoute(owner: live, upstreams: Set(site.running(live)), share: 1000))
            site.confirm()
        }
    }

    // MARK: Jobs

    private mutating func runJobs() throws(Violation) {
        let (rows, site) = (rows, site)
        try jobs.step(&chance) { key throws(Violation) in
            let row = rows[key.deployment]
            guard !row.progress.phase.isTerminal else { throw Violation("\(key) begins after the end of its deployment") }
            let hasInstances = site.instances.keys.contains { $0.deployment == key.deployment }
            switch key.moment {
            case .before:
                if hasInstances { throw Violation("\(key) begins after an instance") }
            case .after:
                if site.route?.owner != key.deployment || site.instances.keys.contains(where: { $0.deployment != key.deployment }) {
                    throw Violation("\(key) begins before the version before is gone")
                }
            }
        }
        for row in rows.indices where rows[row].progress.phase.isTerminal {
            if let open = self.jobs.openJobs(of: row).first { throw Violation("\(open) goes on after the end of its deployment") }
        }
    }

    /// Nobody waits for a job, or ends it, but the holder of the deployment.
    private mutating func run(_ name: String, _ moment: JobMoment, _ index: Int, _ work: Work) throws(Violation) {
        let key = SimulatedJobs.Key(deployment: work.row, moment: moment, name: name)
        guard rows[work.row].epoch == work.epoch, rows[work.row].progress == work.progress else { return refuse(index) }
        jobs.create(key)
        guard let state = jobs.state(key) else { return }
        if moment == .before, rows[work.row].isCancelAsked {
            jobs.cancel(key)
            if jobs.state(key)?.isTerminal == true { try finish(.cancelAsked("cancelled"), index) }
        } else if state.isTerminal {
            try finish(.jobEnded(name, problem: state == .succeeded ? nil : "\(state)"), index)
        }
    }

    // MARK: What a server does

    private mutating func act(_ index: Int) throws(Violation) {
        guard !holders[index].isFrozen else { return }
        guard let work = holders[index].work else { return claim(index) }
        if now - work.renewedAt > Self.lease * 0.8, !chance.oneIn(3) { return drop(index) }
        guard work.isAdmitted else {
            guard site.admit(work.row, work.epoch) else { return refuse(index) }
            guard now - work.renewedAt <= Self.lease * 0.8 else { return drop(index) }
            holders[index].work?.isAdmitted = true
            return
        }
        let row = rows[work.row]
        if row.epoch == work.epoch, isCalm || chance.oneIn(3) {
            rows[work.row].leaseEnds = now + Self.lease
            holders[index].work?.renewedAt = now
        }
        if case .job(let name, let moment) = work.progress.task { return try run(name, moment, index, work) }
        if row.epoch == work.epoch, work.progress.canGoBack || work.progress.phase == .queued || work.progress.phase == .preparing, chance.oneIn(4) {
            if row.isCancelAsked { return try finish(.cancelAsked("cancelled"), index) }
            if work.progress.waitsForPerson {
                if isCalm || chance.oneIn(6) { rows[work.row].resumedWave = work.progress.wave }
                if rows[work.row].resumedWave == work.progress.wave { return try finish(.waited("ann"), index) }
            }
            if work.row == member, let event = train?.signal(to: pipeline, work.progress) { return try finish(event, index) }
        }
        guard let task = work.progress.task else { return drop(index) }
        try perform(task, index, work)
    }

    private mutating func claim(_ index: Int) {
        let due = rows.indices.first { number in
            let row = rows[number]
            return row.isCreated && !row.progress.phase.isTerminal && row.leaseEnds <= now
                && !rows.indices.contains {
                    $0 != number && (rows[$0].progress.phase.isActive || ($0 == member && $0 < number && rows[$0].progress.phase == .queued))
                }
        }
        guard let due else { return }
        rows[due].epoch += 1
        rows[due].leaseEnds = now + Self.lease
        if !rows[due].hasBegun {
            rows[due].hasBegun = true
            rows[due].previous = live
        }
        let row = rows[due]
        note("holder \(index) claims deployment \(due), epoch \(row.epoch), \(row.progress.phase)")
        holders[index].work = Work(row: due, epoch: row.epoch, renewedAt: now, progress: row.progress)
    }

    private mutating func finish(_ event: RolloutEvent, _ index: Int) throws(Violation) {
        guard var work = holders[index].work else { return }
        let before = work.progress.phase
        work.stage = 0
        work.route = nil
        let started = work.progress
        guard work.progress.apply(event, at: now) else {
            holders[index].work = work
            return
        }
        if let train, work.row == member, work.progress.phase.isLost, before != .reverting {
            if train.settle(.aborted) == .committed {
                work.progress = started
                guard work.progress.apply(.waited(nil), at: now) else { throw Violation("\(before) cannot go on after the train has committed") }
            }
            // Dies before it says so.
            if !isCalm, chance.oneIn(10) { return drop(index) }
        }
        if !before.next.contains(work.progress.phase) { throw Violation("\(before) became \(work.progress.phase) by \(event)") }
        guard rows[work.row].epoch == work.epoch, rows[work.row].progress.phase == before else { return refuse(index) }
        note("holder \(index), deployment \(work.row): \(before) -> \(work.progress.phase) wave \(work.progress.wave) by \(event)")
        rows[work.row].progress = work.progress
        if work.progress.phase.isTerminal { rows[work.row].leaseEnds = 0 }
        holders[index].work = work
        tellTrain()
    }

    private mutating func drop(_ index: Int) { holders[index].work = nil }

    private mutating func refuse(_ index: Int) {
        refusals += 1
        drop(index)
    }

    private mutating func perform(_ task: RolloutTask, _ index: Int, _ work: Work) throws(Violation) {
        let (row, epoch) = (work.row, work.epoch)
        if task == .begin {
            var schedule = rows[row].schedule
            schedule.serving = rows[row].previous.map { rows[$0].schedule.wanted } ?? 0
            return try finish(.begun(schedule), index)
        }
        // The router learns first who writes now.
        if work.stage == 0, task != .prepare {
            guard site.raise(row, epoch) else { return refuse(index) }
            return step(index)
        }
        switch task {
        case .begin, .job: return
        case .prepare: try finish(!isCalm && chance.oneIn(40) ? .unfit("no image") : .prepared, index)
        case .start(let instances):
            let replica = work.stage - 1
            guard replica < instances else { return try finish(.started, index) }
            guard site.isAdmitted(row, epoch) else { return refuse(index) }
            let key = InstanceKey(deployment: row, replica: replica)
            if jobs.goodEnds(of: row, .before) != rows[row].schedule.before.count {
                throw Violation("\(key) starts before the jobs that come first have succeeded")
            }
            if site.instances[key] == nil { site.instances[key] = .starting }
            step(index)
        case .warm(let instances):
            let states = (0..<instances).map { site.instances[InstanceKey(deployment: row, replica: $0)] }
            if states.contains(.crashed) || states.contains(nil) { return try finish(.unfit("an instance ended"), index) }
            if states.allSatisfy({ $0 == .healthy }) { return try finish(.warm, index) }
            if rows[row].badness != .neverHealthy, let replica = states.firstIndex(of: .starting) {
                site.instances[InstanceKey(deployment: row, replica: replica)] = .healthy
                return
            }
            if chance.oneIn(8) { try finish(.unfit("not healthy in time"), index) }
        case .route(let shape), .confirm(let shape):
            switch work.stage {
            case 1:
                if isUnfit(row, shape.started) { return try finish(.unfit("an instance ended"), index) }
                let route = wanted(row, shape)
                holders[index].work?.route = route
                step(index)
            case 2:
                guard let route = work.route, !route.upstreams.isEmpty else { return try finish(.unfit("no instance has an address"), index) }
                guard site.raise(row, epoch) else { return refuse(index) }
                if route.upstreams.allSatisfy({ site.instances[$0] == nil }) { throw Violation("a route to nothing: \(route)") }
                try site.write(route)
                note("holder \(index): \(route)")
                if task == .route(shape), shape.share == 1000 { return try finish(.routed(mark: nil), index) }
                step(index)
            default:
                if !isCalm, chance.oneIn(30) { return try finish(.unfit("the router does not answer"), index) }
                site.confirm()
                try finish(task == .confirm(shape) ? .confirmed : .routed(mark: nil), index)
            }
        case .hold(let shape, let hold, _):
            if isUnfit(row, shape.started) { return try finish(.unfit("an instance ended"), index) }
            if case .seconds = hold, let until = work.progress.heldUntil, now >= until { return try finish(.waited(nil), index) }
            try tend(shape, index, work)
        case .drain(let shape):
            guard site.raise(row, epoch) else { return refuse(index) }
            if let route = wanted(row, shape), !route.upstreams.isEmpty, site.route == nil || site.route?.owner == route.owner {
                try site.write(route)
                site.confirm()
            }
            // All requests ended, or the drain time is over.
            if chance.oneIn(3) {
                site.busy = site.busy.filter { site.route?.upstreams.contains($0) == true }
                try finish(.drained, index)
            }
        case .retire(let kept):
            guard site.isAdmitted(row, epoch) else { return refuse(index) }
            guard let previous = rows[row].previous else { return try finish(.retired, index) }
            let going = site.instances.keys.filter { $0.deployment == previous && $0.replica >= kept }.min { $0.replica < $1.replica }
            guard let going else { return try finish(.retired, index) }
            if kept == 0, row == member, train?.state != .committed { throw Violation("the last old instances go before the train has committed") }
            if kept == 0 { site.epochs[previous] = .max }
            note("holder \(index) stops \(going)")
            try site.stop(going, isRetiring: true)
        case .revert: try revert(index, work)
        }
    }

    private mutating func step(_ index: Int) { holders[index].work?.stage += 1 }

    private func isUnfit(_ row: Int, _ instances: Int) -> Bool {
        (0..<instances).contains { replica in
            let state = site.instances[InstanceKey(deployment: row, replica: replica)]
            return state == nil || state == .crashed
        }
    }

    private func wanted(_ row: Int, _ shape: RolloutShape) -> SimulatedRoute? {
        let new = Set(site.running(row).filter { $0.replica < shape.started })
        guard shape.share < 1000, let previous = rows[row].previous else { return SimulatedRoute(owner: row, upstreams: new, share: 1000) }
        let old = Set(site.running(previous).filter { $0.replica < shape.kept })
        if new.isEmpty { return SimulatedRoute(owner: previous, upstreams: old, share: 1000) }
        return SimulatedRoute(owner: row, upstreams: new.union(old), share: old.isEmpty ? 1000 : shape.share)
    }

    /// Old instances that end in a pause come back.
    private mutating func tend(_ shape: RolloutShape, _ index: Int, _ work: Work) throws(Violation) {
        guard let previous = rows[work.row].previous else { return }
        for replica in 0..<shape.kept {
            let key = InstanceKey(deployment: previous, replica: replica)
            guard site.instances[key] == nil || site.instances[key] == .crashed else { continue }
            guard site.isAdmitted(work.row, work.epoch) else { return refuse(index) }
            site.instances[key] = .healthy
        }
        guard shape.share < 1000, let route = wanted(work.row, shape), route != site.route, !route.upstreams.isEmpty else { return }
        guard site.raise(work.row, work.epoch) else { return refuse(index) }
        try site.write(route)
    }

    private mutating func revert(_ index: Int, _ work: Work) throws(Violation) {
        let (row, epoch) = (work.row, work.epoch)
        let previous = rows[row].previous
        let old = Set(previous.map { site.running($0) } ?? [])
        let back = previous.map { SimulatedRoute(owner: $0, upstreams: old, share: 1000) }
        switch work.stage {
        case 1:
            if site.route?.owner == row, let back, !old.isEmpty {
                guard site.raise(row, epoch) else { return refuse(index) }
                try site.write(back)
                site.confirm()
            }
            step(index)
        case 2:
            guard site.isAdmitted(row, epoch) else { return refuse(index) }
            if let previous {
                for replica in 0..<rows[previous].schedule.wanted {
                    let key = InstanceKey(deployment: previous, replica: replica)
                    if site.instances[key] == nil || site.instances[key] == .crashed { site.instances[key] = .healthy }
                }
            }
            step(index)
        case 3:
            guard site.raise(row, epoch) else { return refuse(index) }
            if let back, !old.isEmpty {
                if site.route != nil { try site.write(back) }
            } else if site.route?.owner == row {
                try site.write(nil)
            }
            site.confirm()
            step(index)
        default:
            guard site.isAdmitted(row, epoch) else { return refuse(index) }
            guard let key = site.instances.keys.filter({ $0.deployment == row }).min(by: { $0.replica < $1.replica }) else {
                return try finish(.reverted("back"), index)
            }
            try site.stop(key, isRetiring: false)
        }
    }
}
