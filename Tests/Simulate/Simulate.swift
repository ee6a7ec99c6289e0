import Simulation

#if canImport(Glibc)
import Glibc
#endif

/// `simulate FIRST COUNT`: runs that many seeds of runs, of rollouts and of trains, on every processor, and says what they came to.
@main
struct Simulate {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
        guard arguments.count == 2 else {
            print("usage: simulate FIRST-SEED COUNT")
            exit(2)
        }
        let (first, count) = (arguments[0], arguments[1])
        let processors = UInt64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        let started = ContinuousClock.now
        let tallies = await withTaskGroup(of: Tally.self) { group in
            for share in 0..<processors {
                group.addTask {
                    var tally = Tally()
                    for seed in stride(from: first + share, to: first + count, by: UInt64.Stride(processors)) { tally.add(seed: seed) }
                    return tally
                }
            }
            var all = Tally()
            for await tally in group { all.add(tally) }
            return all
        }
        print(tallies.text, "in \(started.duration(to: .now))")
        exit(tallies.violations.isEmpty ? 0 : 1)
    }
}

struct Tally: Sendable {
    var ends: [String: Int] = [:]
    var rolloutEnds: [String: Int] = [:]
    var trains: [Bool: Int] = [:]
    var takeOvers = 0, things = 0, lostSteps = 0, refusals = 0, seeds = 0
    var violations: [String] = []

    mutating func add(seed: UInt64) {
        seeds += 1
        do {
            let summary = try RunSimulation.run(seed: seed)
            ends[summary.end, default: 0] += 1
            takeOvers += summary.takeOvers
            things += summary.things
            lostSteps += summary.lostSteps
            refusals += summary.refusals
            let rollout = try RolloutSimulation.run(seed: seed)
            for end in rollout.ends { rolloutEnds[end, default: 0] += 1 }
            takeOvers += rollout.takeOvers
            things += rollout.things
            refusals += rollout.refusals
            trains[try TrainSimulation.run(seed: seed), default: 0] += 1
        } catch {
            if violations.count < 3 { violations.append("\(error)") }
        }
    }

    mutating func add(_ other: Tally) {
        ends.merge(other.ends, uniquingKeysWith: +)
        rolloutEnds.merge(other.rolloutEnds, uniquingKeysWith: +)
        trains.merge(other.trains, uniquingKeysWith: +)
        takeOvers += other.takeOvers
        things += other.things
        lostSteps += other.lostSteps
        refusals += other.refusals
        seeds += other.seeds
        violations += other.violations
    }

    var text: String {
        func list(_ ends: [String: Int]) -> String { ends.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ") }
        return
            (violations + [
                "\(seeds) seeds: runs: \(list(ends)); deployments: \(list(rolloutEnds)); trains: \(trains[true] ?? 0) committed, \(trains[false] ?? 0) went back; \(takeOvers) take-overs, "
                    + "\(refusals) stale holders refused, \(lostSteps) steps lost, \(things) small things checked"
            ]).joined(separator: "\n")
    }
}
