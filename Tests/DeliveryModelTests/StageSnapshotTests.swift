import DeliveryModel
import Testing

/// What would be otherwise, and nothing of what secrets hold.
@Suite struct StageSnapshotTests {
    typealias Change = StageSnapshot.Change
    static func snapshot(_ facts: [(String, String)], _ environment: [String: StageSnapshot.Variable] = [:]) -> StageSnapshot {
        StageSnapshot(facts: facts.map { .init($0.0, $0.1) }, environment: environment)
    }

    @Test(arguments: [
        (snapshot([("replicas", "1")]), snapshot([("replicas", "1")]), []),
        (snapshot([("replicas", "1")]), snapshot([("replicas", "2")]), [Change(.changed, "replicas", from: "1", to: "2")]),
        (snapshot([("memory", "1 MiB")]), snapshot([]), [Change(.removed, "memory", from: "1 MiB")]),
        (snapshot([]), snapshot([("memory", "1 MiB")]), [Change(.added, "memory", to: "1 MiB")]),
        (snapshot([], ["A": .value("x")]), snapshot([], ["A": .value("x")]), []),
        (snapshot([], ["A": .value("x")]), snapshot([], ["A": .value("")]), [Change(.changed, "A", isVariable: true, from: "\"x\"", to: "\"\"")]),
        (snapshot([], ["A": .value("x")]), snapshot([]), [Change(.removed, "A", isVariable: true, from: "\"x\"")]),
        (snapshot([]), snapshot([], ["A": .secret("key")]), [Change(.added, "A", isVariable: true, to: "the secret key")]),
        (
            snapshot([], ["A": .secret("key"), "B": .value("same")]), snapshot([], ["A": .value("open"), "B": .value("same")]),
            [Change(.changed, "A", isVariable: true, from: "the secret key", to: "\"open\"")]
        ),
        (
            snapshot([], ["A": .secret("one")]), snapshot([], ["A": .secret("two")]),
            [Change(.changed, "A", isVariable: true, from: "the secret one", to: "the secret two")]
        ),
        (snapshot([], ["A": .secret("key", .version("1"))]), snapshot([], ["A": .secret("key", .version("1"))]), []),
        (snapshot([], ["A": .secret("key")]), snapshot([], ["A": .secret("key", .version("1"))]), []),
        (
            snapshot([], ["A": .secret("key", .version("1"))]), snapshot([], ["A": .secret("key", .version("2"))]),
            [Change(.changed, "A", isVariable: true, from: "the secret key", to: "the secret key, set anew")]
        ),
        (
            snapshot([], ["A": .secret("key", .version("1"))]), snapshot([], ["A": .secret("key", .missing)]),
            [Change(.changed, "A", isVariable: true, from: "the secret key", to: "the secret key, which is not set")]
        ),
        (
            snapshot([]), snapshot([], ["A": .secret("key", .missing)]),
            [Change(.added, "A", isVariable: true, to: "the secret key, which is not set")]
        ),
        (
            snapshot([("a", "1"), ("b", "1")], ["Z": .value("1")]), snapshot([("b", "2"), ("a", "2")], ["Y": .value("1")]),
            [
                Change(.changed, "b", from: "1", to: "2"), Change(.changed, "a", from: "1", to: "2"),
                Change(.added, "Y", isVariable: true, to: "\"1\""), Change(.removed, "Z", isVariable: true, from: "\"1\""),
            ]
        ),
    ])
    func whatIsOtherwiseIsTold(_ old: StageSnapshot, _ new: StageSnapshot, _ changes: [Change]) {
        #expect(new.changes(from: old) == changes)
        for change in changes { #expect(change.text.hasPrefix("\(change.name): ")) }
    }

    @Test func withoutAnythingLiveAllIsNew() {
        let changes = Self.snapshot([("replicas", "1")], ["A": .value("x")]).changes(from: nil)
        #expect(changes.map(\.kind) == [.added, .added] && changes.map(\.text) == ["replicas: 1 (new)", "A: \"x\" (new)"])
    }
}
