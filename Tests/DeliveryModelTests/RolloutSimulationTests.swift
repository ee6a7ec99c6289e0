import DeliveryModel
import Simulation
import Testing

/// `make simulate` is the longer form.
@Suite struct RolloutSimulationTests {
    @Test func somebodyAlwaysServesWhateverHappens() async throws {
        var ends: Set<String> = []
        var (takeOvers, refusals) = (0, 0)
        for seed in 0..<3000 as Range<UInt64> {
            let summary = try RolloutSimulation.run(seed: seed)
            ends.formUnion(summary.ends)
            takeOvers += summary.takeOvers
            refusals += summary.refusals
            // Others need a thread too.
            if seed % 50 == 0 { await Task.yield() }
        }
        #expect(ends == ["succeeded", "reverted", "failed", "cancelled", "superseded"])
        #expect(takeOvers > 1000 && refusals > 20)
    }
}

/// `make simulate` is the longer form.
@Suite struct TrainSimulationTests {
    @Test func allOfATrainComeToServeOrNone() async throws {
        var committed = 0
        for seed in 0..<1500 as Range<UInt64> {
            if try TrainSimulation.run(seed: seed) { committed += 1 }
            if seed % 50 == 0 { await Task.yield() }
        }
        #expect(committed > 50 && committed < 1400)
    }
}

@Suite struct RolloutProgressTests {
    @Test(arguments: [
        (RolloutSchedule(wanted: 3, serving: 0), ["3@1000-0"]),
        (RolloutSchedule(strategy: .canary(.init(weights: [50, 500])), wanted: 4, serving: 0), ["4@1000-0"]),
        (RolloutSchedule(strategy: .canary(.init(weights: [50, 500])), wanted: 4, serving: 2), ["1@50-2", "2@500-2", "4@1000-0"]),
        (RolloutSchedule(strategy: .canary(.init(weights: [50])), wanted: 1, serving: 1), ["1@50-1", "1@1000-0"]),
        (RolloutSchedule(strategy: .canary(.init(weights: [50])), wanted: 2, serving: 2, isRouted: false), ["2@1000-0"]),
        (RolloutSchedule(strategy: .blueGreen(.init(pause: .manual)), wanted: 2, serving: 2), ["2@0-2", "2@1000-0"]),
        (RolloutSchedule(strategy: .rolling(.init()), wanted: 3, serving: 3), ["1@333-2", "2@666-1", "3@1000-0"]),
        (RolloutSchedule(strategy: .rolling(.init(maxSurge: 0, maxUnavailable: 1)), wanted: 2, serving: 2), ["0@0-1", "1@1000-0", "2@1000-0"]),
        (RolloutSchedule(strategy: .rolling(.init(maxSurge: 3)), wanted: 3, serving: 3), ["3@1000-0"]),
        (RolloutSchedule(strategy: .rolling(.init(maxSurge: 0, maxUnavailable: 5)), wanted: 1, serving: 1), ["1@1000-0"]),
        (RolloutSchedule(strategy: .rolling(.init()), wanted: 1, serving: 4), ["0@0-1", "1@1000-0"]),
    ])
    func schedules(schedule: RolloutSchedule, waves: [String]) {
        #expect(schedule.waves.map { "\($0.started)@\($0.share)-\($0.kept)" } == waves)
    }

    /// Whatever the numbers, somebody serves, no more run than may, and it ends.
    @Test func everyRollingScheduleServesAndEnds() {
        for wanted in 1...6 {
            for serving in 1...6 {
                for surge in 0...3 {
                    for unavailable in 0...3 where surge + unavailable > 0 {
                        let options = RolloutStrategy.Rolling(maxSurge: surge, maxUnavailable: unavailable)
                        let waves = RolloutSchedule(strategy: .rolling(options), wanted: wanted, serving: serving).waves
                        var (new, old) = (0, serving)
                        for wave in waves {
                            #expect(wave.started >= new && wave.kept <= old)
                            #expect(wave.started + wave.kept >= 1)
                            #expect(wave.started + wave.kept >= min(wanted - unavailable, serving))
                            #expect(wave.started + old <= max(wanted + max(1, surge), serving + (wave.started > new ? 1 : 0)))
                            (new, old) = (wave.started, wave.kept)
                        }
                        #expect(new == wanted && old == 0 && waves.last?.share == 1000, "\(wanted) \(serving) \(options)")
                    }
                }
            }
        }
    }

    @Test func aStateSurvivesItsFile() throws {
        var progress = RolloutProgress()
        progress.apply(.begun(RolloutSchedule(strategy: .canary(.init(weights: [50])), wanted: 2, serving: 2)), at: 5)
        #expect(progress.phase == .preparing && progress.since == 5 && progress.kept == 2)
        #expect(progress.apply(.drained, at: 6) == false)
        progress.apply(.unfit("no image"), at: 7)
        #expect(progress.phase == .failed && progress.ending?.reason == "no image" && progress.task == nil)
    }
}
