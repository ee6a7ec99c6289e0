import OCIModel
import Testing

@testable import WebServer

@Suite struct RegistryGrantTests {
    private let signer = GrantSigner(key: [UInt8](repeating: 7, count: 32))
    private let grant = RegistryGrant(
        subject: "token:abc", access: [.init(name: "shop/gtin", actions: ["pull"])], at: 1000.5)

    @Test func grantsExpireAndCannotBeForged() throws {
        let token = try signer.sign(grant)
        #expect(signer.open(token, at: 1001) == grant)
        #expect(signer.open(token, at: 1000 + RegistryGrant.seconds) == nil)
        #expect(GrantSigner(key: [UInt8](repeating: 8, count: 32)).open(token, at: 1001) == nil)
        let parts = token.split(separator: ".").map { String($0) }
        let other = try signer.sign(RegistryGrant(subject: "admin", access: [], at: 1000)).split(separator: ".").map { String($0) }
        // {"alg":"none","typ":"JWT"}
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
        for forged in [
            "", "..", "anonymous", "\(parts[0]).\(other[1]).\(parts[2])", "\(none).\(parts[1]).", "\(none).\(parts[1]).\(parts[2])",
            "\(parts[0]).\(parts[1])", "\(token)A", "\(parts[0]).\(parts[1]).!!",
        ] { #expect(signer.open(forged, at: 1001) == nil, "\(forged)") }
    }

    @Test func grantsAllowWhatTheyName() throws {
        let gtin = try RepositoryName(parsing: "shop/gtin")
        #expect(grant.allows("pull", gtin) && !grant.allows("push", gtin))
        #expect(!grant.allows("pull", try RepositoryName(parsing: "shop/gtin2")))
    }

    @Test func scopesAreReadAsClientsWriteThem() throws {
        let scopes = RegistryScope.parse([
            "repository:shop/gtin:pull,push", "repository(plugin):a/b:* registry:catalog:*", "", "repository:", "repository:BAD:pull",
            "repository:x:", "nonsense",
        ])
        #expect(scopes.map(\.repository.rawValue) == ["shop/gtin", "a/b", "x"])
        #expect(scopes[0].granted(pull: true, push: false) == ["pull"])
        #expect(scopes[0].granted(pull: true, push: true) == ["pull", "push"])
        #expect(scopes[1].granted(pull: true, push: true) == ["delete", "pull", "push"])
        #expect(scopes[2].granted(pull: true, push: true).isEmpty)
        #expect(RegistryScope.parse([Substring(String(repeating: "repository:a:pull ", count: 1000))]).count <= 64)
    }
}
