import DeliveryModel
import OCIModel

/// One run, several servers that claim, die, freeze and wake, a store that fails, a machine that restarts: everything from one
/// seed. After each small thing that happens the rules are checked.
///
/// What the servers do is what `RunProgress` asks for, in the way `PipelineEngine` does it: the change is recorded, then come
/// the effects; whoever lost its lease stops, a little late; a newer epoch at the target keeps older holders out.
public struct RunSimulation {
    /// What came of a run, to see that the chances reach everything.
    public struct Summary: Sendable {
        public var end: String
        public var takeOvers: Int
        public var things: Int
        public var lostSteps: Int
        public var refusals: Int
    }

    public let seed: UInt64
    private(set) var trace: [String] = []
    private let isTracing: Bool
    private var chance: Chance
    private var now = 1000.0
    private var store: SimulatedStore
    private var target = SimulatedTarget()
    private var holders: [SimulatedHolder]
    private var isCalm = false
    private var things = 0
    private var refusals = 0
    private var restarts = 0

    private init(seed: UInt64, isTracing: Bool) {
        self.seed = seed
        self.isTracing = isTracing
        chance = Chance(seed: seed)
        store = SimulatedStore(SimulatedPlan(&chance))
        holders = (0..<1 + chance.below(3)).map { SimulatedHolder(id: $0) }
    }

    /// - Throws: ``Violation`` with the seed and what happened before.
    public static func run(seed: UInt64) throws(Violation) -> Summary {
        var simulation = RunSimulation(seed: seed, isTracing: false)
        do { return try simulation.run() } catch {
            var again = RunSimulation(seed: seed, isTracing: true)
            _ = try? again.run()
            throw Violation("seed \(seed): \(error)\n" + again.trace.suffix(60).joined(separator: "\n"))
        }
    }

    private mutating func run() throws(Violation) -> Summary {
        for _ in 0..<40 + chance.below(80) {
            chaos()
            try anything()
        }
        isCalm = true
        for index in holders.indices { holders[index].isFrozen = false }
        for _ in 0..<4000 where !isQuiet { try anything() }
        try checkEnd()
        return Summary(
            end: store.state.rawValue, takeOvers: store.epoch - 1, things: things,
            lostSteps: store.steps.count { $0.state == .lost }, refusals: refusals)
    }

    private var isQuiet: Bool {
        store.state.isTerminal && target.containers.isEmpty && holders.allSatisfy { $0.work == nil }
    }

    private func checkEnd() throws(Violation) {
        guard isQuiet else { throw Violation("it does not come to an end: \(store.state) in \(store.phase), \(target.containers)") }
        for (step, row) in zip(store.plan.steps, store.steps) where row.state == .succeeded {
            let count = target.effects["\(step.name)#\(row.attempt)", default: 0]
            if count != 1 { throw Violation("step \(step.name) succeeded, and ran \(count) times") }
        }
        if restarts == 0, let index = store.steps.firstIndex(where: { $0.state == .lost }) {
            throw Violation("step \(store.plan.steps[index].name) is lost, and nothing was")
        }
        if store.state == .succeeded, store.plan.builds, target.published.isEmpty { throw Violation("it succeeded, and nothing was published") }
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
            die(index)
        case 6..<11:
            let index = chance.below(holders.count)
            note("holder \(index) freezes")
            holders[index].isFrozen = true
        case 11..<18:
            let index = chance.below(holders.count)
            if holders[index].isFrozen { note("holder \(index) wakes") }
            holders[index].isFrozen = false
        case 18..<22: now += 12
        case 22 where !store.state.isTerminal:
            note("cancel is asked for")
            store.isCancelAsked = true
        case 23:
            note("the machine restarts")
            restarts += 1
            for index in holders.indices { die(index) }
            target.restart()
        default: break
        }
    }

    private mutating func die(_ index: Int) {
        holders[index].work = nil
        holders[index].isFrozen = false
        target.unlock(holders[index].id)
    }

    private mutating func anything() throws(Violation) {
        things += 1
        now += chance.between(0...0.5)
        let running = target.containers.keys.filter { target.containers[$0]?.state == .running }.sorted()
        if !running.isEmpty, chance.oneIn(6) {
            exit(running[chance.below(running.count)])
        } else {
            try act(chance.below(holders.count))
        }
    }

    private mutating func exit(_ step: String) {
        guard let container = target.containers[step], let index = store.plan.index(of: step) else { return }
        let code = store.plan.steps[index].codes[container.attempt - 1]
        note("\(step)#\(container.attempt) exits with \(code)")
        target.containers[step]?.state = .exited(code)
    }

    // MARK: What a server does

    private mutating func act(_ index: Int) throws(Violation) {
        guard !holders[index].isFrozen else { return }
        guard var work = holders[index].work else { return rest(index) }
        // Its watch wakes it, but not before anything else.
        if now - work.renewedAt > Lease.limit, !chance.oneIn(3) {
            note("holder \(index) stops by its own clock")
            return drop(index)
        }
        guard work.progress != nil else { return take(up: index) }
        if store.epoch == work.epoch, isCalm || chance.oneIn(4), store.renew(epoch: work.epoch, at: now) {
            work.renewedAt = now
            holders[index].work = work
        }
        enum Choice { case record, stop, event, task(Int), cancel, later, done }
        var open: [Choice] = []
        let isDiscarding = work.tasks.contains { if case .discard = $0.effect { true } else { false } }
        let isOver = work.progress?.state.isTerminal ?? false
        if work.unrecorded != nil {
            open.append(.record)
        } else if work.stopping != nil {
            open.append(.stop)
        } else if isOver {
            if !isDiscarding { open.append(.done) }
        } else {
            if !work.events.isEmpty { open.append(.event) }
            if store.isCancelAsked, store.epoch == work.epoch { open.append(.cancel) }
            if !work.later.isEmpty, !isDiscarding { open.append(.later) }
        }
        for task in work.tasks.indices { open.append(.task(task)) }
        guard !open.isEmpty else { return }
        switch open[chance.below(open.count)] {
        case .record: try record(index)
        case .stop: try stop(index)
        case .event: apply(work.events[0], index, dropFirst: true)
        case .task(let task): try advance(task, of: index)
        case .cancel: apply(.cancelAsked("cancelled"), index)
        case .later:
            holders[index].work?.tasks += work.later.map { .init(effect: $0, stage: .work) }
            holders[index].work?.later = []
        case .done: holders[index].work = nil
        }
    }

    /// Claims the run; or, when it is over, removes what a holder that was cut off left.
    private mutating func rest(_ index: Int) {
        if store.state.isTerminal {
            for (step, container) in target.containers where container.lockedBy == nil { target.containers[step] = nil; note("\(step) is swept") }
        } else if let epoch = store.claim(at: now) {
            note("holder \(index) claims, epoch \(epoch)")
            holders[index].work = .init(epoch: epoch, renewedAt: now)
        }
    }

    private mutating func take(up index: Int) {
        guard let epoch = holders[index].work?.epoch else { return }
        guard target.epoch == epoch else {
            if !target.raise(to: epoch) { refuse(index) }
            return
        }
        guard store.epoch == epoch else { return drop(index) }
        holders[index].work?.progress = RunProgress(
            state: store.state, phase: store.phase, image: store.image, failure: store.failure,
            steps: zip(store.plan.steps, store.steps).map { step, row in
                StepProgress(
                    step.name, dependsOn: step.dependsOn, retries: step.retries, state: row.state, attempt: row.attempt,
                    message: row.message, hasBegun: row.hasBegun)
            }, builds: store.plan.builds,
            batch: Set(zip(store.plan.steps, store.steps).filter { $1.hasBegun }.map(\.0.name)))
        let isTrouble = !isCalm && chance.oneIn(60)
        apply(store.isCancelAsked ? .cancelAsked("cancelled") : isTrouble ? .trouble("the workspace cannot be opened") : .takenUp, index)
    }

    private mutating func apply(_ event: RunEvent, _ index: Int, dropFirst: Bool = false) {
        if dropFirst { holders[index].work?.events.removeFirst() }
        guard let reaction = holders[index].work?.progress?.apply(event) else { return }
        note("holder \(index): \(event) -> \(reaction.effects)")
        holders[index].work?.unrecorded = reaction
    }

    private mutating func record(_ index: Int) throws(Violation) {
        guard let work = holders[index].work, let (change, effects) = work.unrecorded else { return }
        if !change.isEmpty {
            // The store does not answer, or its answer is lost; either way it is asked again.
            let fault = isCalm ? 9 : chance.below(40)
            if fault == 0 { return }
            guard try store.advance(epoch: work.epoch, by: change) else {
                note("holder \(index): the store refuses \(change)")
                return refuse(index)
            }
            if change.end != nil, let (step, _) = target.containers.first(where: { $1.state == .running || $1.state == .created }) {
                throw Violation("the run ended, and step \(step) goes on")
            }
            if fault == 1 { return }
        }
        holders[index].work?.unrecorded = nil
        for effect in effects {
            switch effect {
            case .stop(let steps):
                abort(index)
                holders[index].work?.stopping = steps
            case .keep: holders[index].work?.later.append(effect)
            case .attend(_, _, let isNew): holders[index].work?.tasks.append(.init(effect: effect, stage: isNew ? .start : .observe))
            default: holders[index].work?.tasks.append(.init(effect: effect, stage: effect == .checkOut ? .start : .work))
            }
        }
    }

    private mutating func stop(_ index: Int) throws(Violation) {
        guard let work = holders[index].work, let step = work.stopping?.first else {
            holders[index].work?.stopping = nil
            return apply(.stopped, index)
        }
        guard target.epoch <= work.epoch else { return refuse(index) }
        if target.isLocked(step, for: holders[index].id) { return }
        note("holder \(index) ends \(step)")
        target.containers[step] = nil
        holders[index].work?.stopping?.removeFirst()
    }

    /// Leaves what is under way; of a container that is half made nothing stays.
    private mutating func abort(_ index: Int) {
        for (step, container) in target.containers where container.lockedBy == holders[index].id { target.containers[step] = nil }
        holders[index].work?.tasks = []
        holders[index].work?.later = []
        holders[index].work?.events = []
    }

    private mutating func drop(_ index: Int) {
        abort(index)
        holders[index].work = nil
    }

    private mutating func refuse(_ index: Int) {
        refusals += 1
        drop(index)
    }

    private mutating func advance(_ number: Int, of index: Int) throws(Violation) {
        guard let work = holders[index].work else { return }
        let task = work.tasks[number]
        let mayFail = !isCalm
        func isTrouble(_ odds: Int) -> Bool { mayFail && chance.oneIn(odds) }
        switch task.effect {
        case .attend(let step, let attempt, _): try attend(step, attempt, number, index)
        case .discard(let step):
            guard target.epoch <= work.epoch else { return refuse(index) }
            if target.isLocked(step, for: holders[index].id) { return }
            target.containers[step] = nil
            finish(number, index)
        case .checkOut:
            guard target.epoch <= work.epoch else { return refuse(index) }
            if task.stage == .start {
                target.workspace = (work.epoch, false)
                holders[index].work?.tasks[number].stage = .work
            } else if isTrouble(15) {
                finish(number, index, .trouble("the commit is not there"))
            } else {
                target.workspace = (work.epoch, true)
                finish(number, index, .checkedOut)
            }
        case .keep:
            if target.containers.values.contains(where: { $0.state == .running }), target.epoch == work.epoch {
                throw Violation("the workspace was kept while a step wrote to it")
            }
            finish(number, index, isTrouble(40) ? .trouble("the workspace cannot be kept") : .kept)
        case .build: finish(number, index, isTrouble(15) ? .trouble("the image cannot be built") : .built(SimulatedHolder.image))
        case .publish(let image):
            if store.image != image { throw Violation("an image was published that the store does not know") }
            if isTrouble(15) { return finish(number, index, .trouble("the registry refuses")) }
            target.published.insert(image.description)
            finish(number, index, .published)
        case .stop: throw Violation("a stop was carried out beside other effects")
        }
    }

    private mutating func attend(_ step: String, _ attempt: Int, _ number: Int, _ index: Int) throws(Violation) {
        guard let work = holders[index].work else { return }
        let container = target.containers[step]
        if target.isLocked(step, for: holders[index].id) { return }
        switch work.tasks[number].stage {
        case .observe:
            let stage: SimulatedHolder.Task.Stage =
                switch container {
                case nil: .start
                case let left? where left.attempt != attempt: .putAside
                case let left?: left.state == .created ? .start : .wait
                }
            holders[index].work?.tasks[number].stage = stage
        case .putAside:
            guard target.epoch <= work.epoch else { return refuse(index) }
            target.containers[step] = nil
            holders[index].work?.tasks[number].stage = .start
        case .start:
            guard target.epoch <= work.epoch else { return refuse(index) }
            if !isCalm, chance.oneIn(60) {
                target.containers[step] = nil
                return finish(number, index, .ended(step: step, attempt: attempt, .refused("no such image")))
            }
            if let container, container.state != .created {
                holders[index].work?.tasks[number].stage = .wait
                return
            }
            target.containers[step] = .init(attempt: attempt, state: .created, lockedBy: holders[index].id)
            holders[index].work?.tasks[number].stage = .finishStart
        case .finishStart:
            try checkStart(step, attempt)
            note("holder \(index): \(step)#\(attempt) runs")
            try target.begin(step)
            holders[index].work?.tasks[number].stage = .wait
        case .wait, .work:
            guard let container, container.attempt == attempt else {
                if target.epoch > work.epoch { return refuse(index) }
                throw Violation("the container of \(step)#\(attempt) is gone, and its holder does not know")
            }
            switch container.state {
            case .exited(let code):
                finish(
                    number, index,
                    .ended(step: step, attempt: attempt, code == 0 ? .succeeded : .failed(exitCode: code, message: "exit code \(code)")))
            case .lost: finish(number, index, .ended(step: step, attempt: attempt, .lost("the machine restarted")))
            case .created, .running: break
            }
        }
    }

    private func checkStart(_ step: String, _ attempt: Int) throws(Violation) {
        guard let number = store.plan.index(of: step) else { throw Violation("a step that is not in the plan began") }
        let row = store.steps[number]
        if store.state != .running || row.state != .running || row.attempt != attempt {
            throw Violation("\(step)#\(attempt) began, and the store has \(row.state)#\(row.attempt) of a run that is \(store.state)")
        }
        if target.workspace?.isComplete != true { throw Violation("\(step)#\(attempt) began in a workspace that is not complete") }
    }

    private mutating func finish(_ number: Int, _ index: Int, _ event: RunEvent? = nil) {
        holders[index].work?.tasks.remove(at: number)
        if let event { holders[index].work?.events.append(event) }
    }
}
