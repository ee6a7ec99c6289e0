import Foundation
import StateStore
import Testing

/// What several servers on one store agree on.
@Suite struct ServerTests {
    @Test(arguments: StoreKind.allCases) func aNamedLeaseHasOneHolderUntilItExpiresOrIsGivenBack(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let first = try #require(try await store.claimLease("leader", holder: "a", leaseSeconds: 10_000))
        #expect(first.name == "leader" && first.holder == "a" && first.epoch == 1)
        for holder in ["a", "b"] { #expect(try await store.claimLease("leader", holder: holder, leaseSeconds: 10_000) == nil) }
        #expect(try await store.claimLease("other", holder: "b", leaseSeconds: 10_000)?.epoch == 1)
        try await fixture.advance(9_000)
        #expect(try await store.renewLease("leader", epoch: first.epoch, leaseSeconds: 10_000))
        try await fixture.advance(9_000)
        #expect(try await store.claimLease("leader", holder: "b", leaseSeconds: 10_000) == nil)
        try await fixture.advance(2_000)
        let second = try #require(try await store.claimLease("leader", holder: "b", leaseSeconds: 10_000))
        #expect(second.holder == "b" && second.epoch == 2)
        // The old holder cannot have it back.
        #expect(try await store.renewLease("leader", epoch: first.epoch, leaseSeconds: 10_000) == false)
        #expect(try await store.renewLease("nothing", epoch: 1, leaseSeconds: 10_000) == false)
        try await store.releaseLeases(holder: "b", orderly: true)
        #expect(try await store.claimLease("leader", holder: "a", leaseSeconds: 10_000)?.epoch == 3)
    }

    @Test(arguments: StoreKind.allCases) func ofManyWhoAskForALeaseOneGetsIt(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let servers = try await fixture.servers(4)
        for round in 1...5 {
            let won = try await withThrowingTaskGroup(of: NamedLease?.self) { group in
                for (number, server) in servers.enumerated() {
                    group.addTask { try await server.claimLease("leader", holder: "server \(number)", leaseSeconds: 10_000) }
                }
                return try await group.reduce(into: [NamedLease]()) { won, lease in if let lease { won.append(lease) } }
            }
            #expect(won.map(\.epoch) == [Int64(round)])
            try await fixture.store.releaseLeases(holder: won[0].holder, orderly: true)
        }
    }

    @Test(arguments: StoreKind.allCases) func aStoreBelongsToTheDataDirectoryThatAskedFirst(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let first = try await store.register(folder: "one", place: "a:/one", adopting: false)
        #expect(first.folder == "one" && first.place == "a:/one" && !first.store.isEmpty)
        let other = try await store.register(folder: "two", place: "b:/two", adopting: false)
        #expect(other == first)
        let moved = try await fixture.reopened().register(folder: "one", place: "a:/moved", adopting: false)
        #expect(moved == Registration(folder: "one", place: "a:/moved", store: first.store))
        let adopted = try await store.register(folder: "two", place: "b:/two", adopting: true)
        #expect(adopted == Registration(folder: "two", place: "b:/two", store: first.store))
        #expect(try await store.register(folder: "one", place: "a:/one", adopting: false) == adopted)
    }
}
