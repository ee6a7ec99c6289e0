import Testing

@testable import RegistryClient

struct HeaderTests {
    @Test func challenges() {
        let bearer = #"Bearer realm="https://auth.example.com/token?a=b,c",service="registry, main",scope="repository:a:pull""#
        #expect(Challenge(["Basic realm=x", bearer]) == .bearer(realm: "https://auth.example.com/token?a=b,c", service: "registry, main"))
        #expect(Challenge([#"basic realm="x""#]) == .basic)
        for text in ["", "Bearer", "Bearer realm", "Negotiate", #"Bearer service="x"#] { #expect(Challenge([text]) == nil) }
    }

    @Test func retryAfter() {
        #expect(RetryAfter.parse("12") == .seconds(12))
        #expect(RetryAfter.parse("-9223372036854775808") == .zero)
        #expect(RetryAfter.parse("Sun, 06 Nov 1994 08:49:37 GMT", now: 784_111_700) == .seconds(77))
        for text in ["", "soon", "Sun, 06 Nov 1994", "Sun, 99999999999 Nov 1994 08:49:37 GMT"] {
            #expect(RetryAfter.parse(text) == nil)
        }
    }

    @Test func tokenLifetimesAreBounded() {
        for (given, seconds) in [(Int.min, 5), (60, 50), (Int.max, 3590)] {
            #expect(TokenResponse(token: nil, accessToken: nil, expiresIn: given, refreshToken: nil).lifetime == .seconds(seconds))
        }
    }

    @Test func locations() {
        let base = "https://registry.example.com/v2/a/blobs/uploads/"
        #expect(
            Transport.resolve("/v2/a/blobs/uploads/1?_state=x%3D%3D&y=1", at: base)
                == "https://registry.example.com/v2/a/blobs/uploads/1?_state=x%3D%3D&y=1")
        #expect(Transport.resolve("2?z", at: base) == "https://registry.example.com/v2/a/blobs/uploads/2?z")
        #expect(Transport.resolve("https://store.example.com/b?sig=a%2Bb", at: base) == "https://store.example.com/b?sig=a%2Bb")
        #expect(Transport.resolve("http://registry.example.com/b", at: base) == nil)
        #expect(Transport.resolve("file:///etc/passwd", at: base) == nil)
        #expect(Transport.origin(of: base) == "https://registry.example.com:443")
        #expect(["localhost", "127.0.0.1", "[::1]", "a.localhost"].allSatisfy(Transport.isLoopback))
        #expect(!["127.example.com", "localhost.example.com"].contains(where: Transport.isLoopback))
    }
}
