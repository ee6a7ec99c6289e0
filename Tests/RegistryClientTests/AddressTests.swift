import Synchronization
import Testing

@testable import RegistryClient

/// Where a registry may send us, and by which way we go there.
struct AddressTests {
    @Test func addressesAndTheirReach() {
        let reach: [(IPAddress.Reach, [String])] = [
            (.loopback, ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]),
            (.internalNetwork, ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1", "64:ff9b::a00:1"]),
            (.unusable, ["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1", "::ffff:169.254.169.254"]),
            (.publicNetwork, ["8.8.8.8", "172.32.0.1", "172.15.0.1", "100.128.0.1", "2001:4860::8888", "192.0.2.1"]),
        ]
        for (expected, texts) in reach { for text in texts { #expect(IPAddress(text)?.reach == expected, "\(text)") } }
        for text in ["", "1.2.3", "256.1.1.1", "localhost", "1.2.3.4/8", "[::1]", "fe80::1%lo"] { #expect(IPAddress(text) == nil, "\(text)") }
        #expect(IPAddress("2001:db8::1")?.text == "2001:db8:0:0:0:0:0:1")
    }

    private func addresses(_ registry: String, allows: Bool? = nil) -> AddressGuard {
        AddressGuard(registryHost: registry, allowsPrivate: allows) { host in
            let known = [
                "public.example.com": ["93.184.216.34"], "other.example.com": ["93.184.216.35", "93.184.216.36"],
                "inside.example.com": ["10.1.2.3"], "mixed.example.com": ["93.184.216.34", "127.0.0.1"],
                "meta.example.com": ["169.254.169.254"], "self.example.com": ["127.0.0.1"],
            ]
            return (known[host] ?? [host]).compactMap { IPAddress($0) }
        }
    }

    @Test func noRegistryPointsFurtherInsideThanItIs() async throws {
        func verdict(_ registry: String, _ host: String, allows: Bool? = nil, isProxied: Bool = false) async throws -> String {
            do {
                return try await addresses(registry, allows: allows).check(host, isProxied: isProxied, task: "pulling") ?? "any"
            } catch let error as RegistryError {
                #expect(error.code == .addressRefused && error.message.contains(host) && error.hint.contains("allow_private_addresses"))
                return "refused"
            }
        }
        #expect(try await verdict("public.example.com", "public.example.com") == "any")
        #expect(try await verdict("public.example.com", "other.example.com") == "93.184.216.35")
        for host in ["inside.example.com", "mixed.example.com", "meta.example.com", "self.example.com", "10.0.0.1", "::1"] {
            #expect(try await verdict("public.example.com", host) == "refused", "\(host)")
        }
        #expect(try await verdict("inside.example.com", "10.9.9.9") == "10.9.9.9")
        for host in ["self.example.com", "meta.example.com"] { #expect(try await verdict("inside.example.com", host) == "refused") }
        #expect(try await verdict("self.example.com", "inside.example.com") == "10.1.2.3")
        #expect(try await verdict("self.example.com", "meta.example.com") == "refused")
        #expect(try await verdict("self.example.com", "inside.example.com", allows: false) == "refused")
        #expect(try await verdict("public.example.com", "meta.example.com", allows: true) == "any")
        // A proxy resolves names; what can be seen without is checked still.
        #expect(try await verdict("public.example.com", "inside.example.com", isProxied: true) == "any")
        for host in ["127.0.0.1", "localhost", "169.254.169.254"] {
            #expect(try await verdict("public.example.com", host, isProxied: true) == "refused", "\(host)")
        }
        await #expect(throws: Interruption.self) {
            try await addresses("public.example.com").check("nowhere.example.com", isProxied: false, task: "pulling")
        }
    }

    @Test func proxiesOfTheEnvironment() throws {
        let proxies = try ProxySettings(environment: [
            "HTTP_PROXY": "http://ignored:1", "http_proxy": "plain.example.com:3128", "HTTPS_PROXY": "http://me:p%40ss@secure.example.com",
            "NO_PROXY": "direct.example.com, .below.example.com,10.0.0.0/8,port.example.com:5000,192.168.1.7,fd00::/8,*.star.example.com",
        ])
        func host(_ scheme: String, _ host: String, _ port: Int = 443) -> String? {
            proxies.proxy(scheme: scheme, host: host, port: port).map { "\($0.host):\($0.port)" }
        }
        #expect(host("https", "registry.example.com") == "secure.example.com:80")
        #expect(host("http", "registry.example.com") == "plain.example.com:3128")
        #expect(proxies.proxy(scheme: "https", host: "a.example.com", port: 443)?.login == "me:p@ss")
        for name in [
            "direct.example.com", "DIRECT.example.com", "sub.direct.example.com", "a.below.example.com", "10.200.1.1", "192.168.1.7", "fd12::1",
            "localhost", "127.0.0.1", "::1", "a.star.example.com",
        ] { #expect(host("https", name) == nil, "\(name)") }
        for name in ["indirect.example.com", "below.example.com", "11.0.0.1", "192.168.1.8", "fe00::1", "port.example.com"] {
            #expect(host("https", name) != nil, "\(name)")
        }
        #expect(host("http", "port.example.com", 5000) == nil)
        #expect(try ProxySettings(environment: ["NO_PROXY": "*", "ALL_PROXY": "p:1"]).proxy(scheme: "http", host: "a.b", port: 80) == nil)
        #expect(try ProxySettings(environment: ["ALL_PROXY": "socks5://p:1"]).proxy(scheme: "https", host: "a.b", port: 443)?.kind == .socks)
        #expect(try ProxySettings(environment: ["HTTP_PROXY": "p:1", "REQUEST_METHOD": "GET"]).proxy(scheme: "http", host: "a.b", port: 80) == nil)
        for (name, value) in [("HTTPS_PROXY", "ftp://u:secret@p"), ("https_proxy", "http://"), ("ALL_PROXY", "socks5://u:secret@p")] {
            let error = #expect(throws: RegistryError.self) { try ProxySettings(environment: [name: value]) }
            #expect(error?.code == .invalidSettings && error?.message.contains(name) == true && error?.description.contains("secret") == false)
        }
    }
}
