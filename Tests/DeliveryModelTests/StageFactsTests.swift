import DeliveryModel
import Testing

/// One line for everything that can keep a release from a stage.
@Suite struct StageFactsTests {
    typealias Facts = StageFacts
    static let old = version(1, "aaaaaaa", "Sell boats")
    static let new = version(2, "bbbbbbb", "Sell ships")
    static let newer = version(3, "ccccccc", "Sell more")
    static let live = "111111111111 (aaaaaaa Sell boats) is live; "

    static func version(_ release: Int64, _ commit: String, _ subject: String) -> Facts.Version {
        Facts.Version(release: release, digest: "sha256:" + String(repeating: "\(release)", count: 64), commit: commit + "000", subject: subject)
    }

    static func attempt(
        _ phase: RolloutPhase, _ version: Facts.Version = new, message: String? = nil, approvals: Facts.Approvals? = nil,
        freeze: Facts.Freeze? = nil, behind: Int64? = nil
    ) -> Facts.Attempt {
        Facts.Attempt(deployment: 7, phase: phase, version: version, message: message, approvals: approvals, freeze: freeze, behind: behind)
    }

    static func run(_ state: RunState, _ problem: String? = nil, current: Bool = false) -> Facts.LastRun {
        Facts.LastRun(id: 9, state: state, commit: "ddddddd000", problem: problem, isCurrent: current)
    }

    static let cases: [(Facts, String)] = [
        (Facts(stage: "prod"), "nothing is live; no release has come here yet"),
        (Facts(stage: "prod", after: "dev"), "nothing is live; nothing has been live in dev yet"),
        (Facts(stage: "prod", live: old), live + "there is nothing newer"),
        (Facts(stage: "prod", live: old, run: run(.succeeded, current: true)), live + "there is nothing newer"),
        (Facts(stage: "prod", live: old, run: run(.running)), live + "run 9 of ddddddd is running"),
        (Facts(stage: "prod", live: old, run: run(.queued)), live + "run 9 of ddddddd is queued"),
        (Facts(stage: "prod", live: old, run: run(.failed, "test: exit code 1\nmore")), live + "run 9 of ddddddd failed (test: exit code 1)"),
        (Facts(stage: "prod", live: old, run: run(.invalid)), live + "run 9 of ddddddd has a pipeline file that is not valid"),
        (
            Facts(stage: "prod", live: old, run: run(.cancelled, "superseded by run 10")),
            live + "run 9 of ddddddd was cancelled (superseded by run 10)"
        ),
        (Facts(stage: "prod", live: old, run: run(.failed, current: true)), live + "there is nothing newer"),
        (
            Facts(stage: "prod", live: old, attempts: [attempt(.warming, message: "1 of 2 healthy")]),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) is warming (1 of 2 healthy)"
        ),
        (Facts(stage: "prod", live: old, attempts: [attempt(.queued)]), live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) is about to begin"),
        (
            Facts(stage: "prod", live: old, attempts: [attempt(.queued, behind: 6)]),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) waits for deployment 6 to be over"
        ),
        (
            Facts(stage: "prod", live: old, attempts: [attempt(.queued, freeze: .init(until: 1_800_000_000))]),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) waits for the freeze to end, at 2027-01-15 08:00 UTC"
        ),
        (
            Facts(stage: "prod", live: old, attempts: [attempt(.queued, freeze: .init(until: nil))]),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) waits for the freeze to end, with no end to be seen"
        ),
        (
            Facts(stage: "prod", live: old, attempts: [attempt(.awaitingApproval, approvals: .init(missing: 1, needed: 2, from: ["bob", "eve"]))]),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) waits for 1 approval of bob, eve"
        ),
        (
            Facts(
                stage: "prod", live: old,
                attempts: [
                    attempt(
                        .awaitingApproval, approvals: .init(missing: 2, needed: 2, from: ["a", "b", "c", "d", "e", "f"], expiresAt: 1_800_000_000))
                ]),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) waits for 2 approvals of a, b, c, d, e, … until 2027-01-15 08:00 UTC"
        ),
        (
            Facts(stage: "prod", live: old, attempts: [attempt(.awaitingApproval)]),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) waits for approval"
        ),
        // What is under way is told before what waits.
        (
            Facts(stage: "prod", live: old, attempts: [attempt(.awaitingApproval, newer), attempt(.queued), attempt(.draining, old)]),
            live + "deployment 7 of 111111111111 (aaaaaaa Sell boats) is draining"
        ),
        (
            Facts(stage: "prod", live: old, failed: attempt(.failed, message: "not healthy in 30 s"), run: run(.running)),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) failed (not healthy in 30 s)"
        ),
        (
            Facts(stage: "prod", live: old, ended: attempt(.rejected, message: "rejected by ann")),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) was rejected (rejected by ann)"
        ),
        (
            Facts(stage: "prod", live: old, ended: attempt(.superseded, message: "a newer release took its place")),
            live + "deployment 7 of 222222222222 (bbbbbbb Sell ships) was superseded (a newer release took its place)"
        ),
        (
            Facts(stage: "prod", live: old, candidate: .init(version: new, before: "dev")),
            live + "222222222222 (bbbbbbb Sell ships) is live in dev and waits for somebody to promote it"
        ),
        (
            Facts(stage: "prod", live: old, candidate: .init(version: new, before: "dev", comesAt: 1_800_000_000)),
            live + "222222222222 (bbbbbbb Sell ships) is live in dev and comes at 2027-01-15 08:00 UTC"
        ),
        (
            Facts(stage: "prod", live: old, candidate: .init(version: new, before: "dev", waitsFor: "a tag 'v*' at its commit")),
            live + "222222222222 (bbbbbbb Sell ships) is live in dev and waits for a tag 'v*' at its commit"
        ),
        (
            Facts(stage: "dev", live: old, candidate: .init(version: new, before: nil, waitsFor: "somebody to promote it"), run: run(.succeeded)),
            live + "222222222222 (bbbbbbb Sell ships) is built and waits for somebody to promote it"
        ),
        // A failure of something older is not what keeps the newer one.
        (
            Facts(stage: "prod", live: old, failed: attempt(.failed), candidate: .init(version: newer, before: "dev")),
            live + "333333333333 (ccccccc Sell more) is live in dev and waits for somebody to promote it"
        ),
        (
            Facts(stage: "prod", failed: attempt(.failed, message: "no"), after: "dev"),
            "nothing is live; deployment 7 of 222222222222 (bbbbbbb Sell ships) failed (no)"
        ),
    ]

    @Test(arguments: cases) func theLineSaysWhatIsMissing(_ facts: StageFacts, _ line: String) {
        #expect(facts.why == line)
        #expect(!facts.why.contains("\n"))
    }
}
