import DeliveryModel
import Foundation
import OCIModel
import StateStore
import Testing

@Suite struct TokenTests {
    @Test(arguments: StoreKind.allCases) func tokensAreKeptByHash(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let (secret, hash) = AccessToken.newSecret()
        #expect(secret.hasPrefix("slipway_") && secret.count == 72 && AccessToken.hash(of: secret) == hash)
        let token = AccessToken(
            name: "ci", hash: hash, pull: [try RepositoryPattern(parsing: "shop/*")],
            push: [try RepositoryPattern(parsing: "shop/gtin")], createdBy: "admin", createdAt: 5, expiresAt: 100)
        try await fixture.store.add(token)
        #expect(try await fixture.store.tokens() == [token])
        #expect(try await fixture.store.token(hash: hash) == token)
        #expect(try await fixture.store.token(hash: AccessToken.hash(of: "other")) == nil)
        do {
            var again = token
            again.hash = AccessToken.newSecret().hash
            try await fixture.store.add(again)
            Issue.record("a second token of the same name was taken")
        } catch let error as StateError {
            #expect(error.code == .exists)
        }
        let gtin = try RepositoryName(parsing: "shop/gtin")
        let other = try RepositoryName(parsing: "shop/other")
        #expect(token.mayPull(gtin) && token.mayPush(gtin) && token.mayPull(other) && !token.mayPush(other))
        #expect(!token.mayPull(try RepositoryName(parsing: "secret/gtin")))
        #expect(!token.isExpired(at: 99) && token.isExpired(at: 100))
        #expect(try await fixture.store.removeToken("ci"))
        #expect(try await fixture.store.removeToken("ci") == false)
        #expect(try await fixture.store.tokens().isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func imagesInUseAreKnown(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        #expect(try await fixture.store.digestsInUse().isEmpty)
        let run = try await fixture.run()
        let built = Digest.sha256([1])
        #expect(try await fixture.store.advance(run, RunChange(image: built)))
        #expect(try await fixture.store.digestsInUse() == [built])
        _ = try await fixture.release(run, digest: built)
        #expect(try await fixture.store.digestsInUse() == [built])
    }
}
