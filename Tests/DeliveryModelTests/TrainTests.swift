import DeliveryModel
import Testing

@Suite struct TrainTests {
    private func member(_ pipeline: String, _ phase: RolloutPhase, requires: Set<String> = []) -> TrainMember {
        TrainMember(pipeline: pipeline, progress: RolloutProgress(phase: phase), requires: requires)
    }

    private func signal(_ own: TrainMember, _ others: [TrainMember], _ state: Train.State = .open, reason: String? = nil) -> TrainSignal {
        Train(id: 1, project: "shop", name: "all", stage: "dev", state: state, reason: reason).signal(for: own, among: [own] + others)
    }

    @Test func nobodySwitchesBeforeAllAreWarm() {
        let web = member("web", .joining)
        #expect(signal(web, [member("api", .starting)]) == .wait(["api"]))
        #expect(signal(web, [member("api", .queued), member("worker", .joining)]) == .wait(["api"]))
        #expect(signal(web, [member("api", .switching)]) == .go)
    }

    @Test func whoRequiresAnotherSwitchesAfterIt() {
        let web = member("web", .joining, requires: ["api", "elsewhere"])
        #expect(signal(web, [member("api", .joining)]) == .wait(["api"]))
        #expect(signal(web, [member("api", .confirming)]) == .wait(["api"]))
        var api = RolloutProgress()
        for event in [RolloutEvent.begun(RolloutSchedule(wanted: 1, serving: 1, isInTrain: true)), .prepared, .started, .warm, .waited(nil)] {
            api.apply(event, at: 1)
        }
        #expect(api.phase == .switching)
        api.apply(.routed(mark: nil), at: 1)
        api.apply(.confirmed, at: 1)
        #expect(api.phase == .committing && api.waitsForTrain && !api.waitsForPerson)
        #expect(signal(web, [TrainMember(pipeline: "api", progress: api)]) == .go)
        #expect(signal(TrainMember(pipeline: "api", progress: api), [web]) == .wait(["web"]))
        // Once it has gone there is no way back.
        #expect(api.canGoBack)
        api.apply(.waited(nil), at: 1)
        #expect(api.phase == .draining && !api.canGoBack && !api.apply(.unfit("late"), at: 2))
    }

    @Test func oneThatIsLostTakesAllBack() {
        for phase in [RolloutPhase.reverting, .reverted, .failed, .cancelled, .rejected, .superseded] {
            for own in [RolloutPhase.preparing, .warming, .joining, .soaking, .committing] {
                guard case .goBack(let reason) = signal(member("web", own), [member("api", phase)]) else {
                    Issue.record("\(own) beside \(phase)")
                    continue
                }
                #expect(reason.contains("api") && reason.contains(phase.rawValue))
            }
        }
        #expect(
            signal(member("web", .joining), [member("api", .joining)], .aborted, reason: "api: exits")
                == .goBack("the train 'all' goes back: api: exits"))
        #expect(signal(member("web", .committing), [member("api", .retiring)], .committed) == .go)
    }

    @Test func rollingUpdatesKeepAnOldInstanceUntilTheTrainHasGone() {
        for (wanted, serving) in [(1, 1), (2, 2), (3, 3), (5, 2), (2, 5)] {
            for (surge, unavailable) in [(1, 0), (0, 1), (3, 0), (0, 5), (2, 2)] {
                let strategy = RolloutStrategy.rolling(.init(maxSurge: surge, maxUnavailable: unavailable))
                let waves = RolloutSchedule(strategy: strategy, wanted: wanted, serving: serving, isInTrain: true).waves
                #expect(waves.dropLast().allSatisfy { $0.kept > 0 && $0.started <= wanted }, "\(wanted) \(serving) \(strategy) \(waves)")
                #expect(waves.last?.kept == 0 && waves.last?.started == wanted)
            }
        }
    }

    @Test(
        arguments: [
            ([:], []), (["a": []], []), (["a": ["b"], "b": []], []), (["a": ["x"]], []), (["a": ["a"]], ["a", "a"]),
            (["a": ["b"], "b": ["a"]], ["a", "b", "a"]), (["a": ["b"], "b": ["c"], "c": ["b"]], ["b", "c", "b"]),
        ] as [([String: Set<String>], [String])])
    func circles(requires: [String: Set<String>], circle: [String]) {
        #expect(Train.circle(in: requires) == circle)
    }
}
