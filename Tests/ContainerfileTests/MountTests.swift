import Testing

@testable import Containerfile

@Suite struct MountTests {
    static func mount(_ text: String, _ environment: [String: String] = [:]) throws -> Mount {
        let source = SourceText(file: "Containerfile", lines: [text])
        do {
            return try MountFlag.parse(Fragment(text, at: (1, 1), text: source), escape: .backslash)
                .resolved(in: environment)
        } catch let mistake as Mistake {
            throw ContainerfileError(code: mistake.code, diagnostics: [mistake.diagnostic])
        }
    }

    @Test func readsEveryOption() throws {
        #expect(
            try Self.mount("type=bind,from=build,source=/a,target=/b,rw")
                == .bind(BindMount(from: "build", source: "/a", target: "/b", isReadOnly: false)))
        #expect(try Self.mount("target=.") == .bind(BindMount(from: nil, source: "/", target: ".", isReadOnly: true)))
        #expect(
            try Self.mount("type=cache,dst=/root/.cache/") == .cache(CacheMount(id: "/root/.cache", target: "/root/.cache/")))
        #expect(
            try Self.mount("type=cache,id=c,target=/c,sharing=LOCKED,ro,from=x,src=/y,mode=0700,uid=1,gid=2")
                == .cache(
                    CacheMount(
                        id: "c", target: "/c", sharing: .locked, isReadOnly: true, from: "x", source: "/y", mode: 0o700,
                        uid: 1, gid: 2)))
        #expect(try Self.mount("type=tmpfs,target=/t,size=64m") == .tmpfs(target: "/t", size: 64 << 20))
        #expect(
            try Self.mount("type=secret,id=token")
                == .secret(SecretMount(id: "token", target: "/run/secrets/token", variable: nil, isRequired: false)))
        #expect(
            try Self.mount("required,type=secret,target=/x/key,mode=0440,env=KEY")
                == .secret(SecretMount(id: "key", target: "/x/key", variable: "KEY", isRequired: true, mode: 0o440)))
        #expect(
            try Self.mount("type=ssh,required=true") == .ssh(SSHMount(id: "default", target: nil, isRequired: true)))
    }

    @Test func expandsValues() throws {
        #expect(
            try Self.mount("type=$T,target=${D:-/d}", ["T": "tmpfs"]) == .tmpfs(target: "/d", size: nil))
        #expect(
            try Self.mount("\"source=a,b\",target=/x")
                == .bind(BindMount(from: nil, source: "a,b", target: "/x", isReadOnly: true)))
    }

    @Test(arguments: [
        ("type=bnd,target=/x", "did you mean 'bind'?"), ("targt=/x", "did you mean 'target'?"),
        ("type=tmpfs,target=/x,source=/y", "it has type, target, size"), ("type=cache,target=/x,sharing=lockd", "did you mean 'locked'?"),
        ("type=bind", "add target=/path"), ("type=bind,target=/", "give a folder below it"),
        ("type=secret", "give id=NAME"), ("type=secret,id=a,source=b", "give one of them"),
        ("type=bind,target=/x,from=$Y", "name a stage here, and use the variable in that stage's FROM"),
        ("type=cache,target=/x,mode=9", "write it in octal, as in mode=0755"), ("type=tmpfs,target=/x,size=1q", "write it as in size=64m"),
        ("type=cache,target=/x,uid=-1", "write it as in uid=1000"), ("type=bind,target=/x,ro=maybe", "write readonly=true"),
        ("type=bind,target", "write target=…"),
    ])
    func refusesWithAWayOut(_ text: String, _ suggestion: String) throws {
        let error = #expect(throws: ContainerfileError.self) { try Self.mount(text) }
        #expect(error?.diagnostics.first?.suggestion == suggestion)
    }

    @Test(arguments: [
        "target=/x,,source=y", "target=/x,target=/y", "\"target=/x", "\"target=/x\"y", "ta\"rget=/x", "ro,rw,target=/x", "",
        "type=tmpfs,target=/x,size=99999999999999999999", "type=tmpfs,target=/x,size=9223372036854775807k",
    ])
    func refuses(_ text: String) throws {
        #expect(throws: ContainerfileError.self) { try Self.mount(text) }
    }
}
