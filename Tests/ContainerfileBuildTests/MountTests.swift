import ContainerfileBuild
import Foundation
import Glibc
import OCIModel
import SystemPackage
import Testing

@Suite(.serialized) struct MountTests {
    @Test func cachesAreKeptAndSecretsAreNot() async throws {
        try await Yard.with { yard async throws in
            let text = { (number: Int) in
                """
                FROM busybox
                RUN --mount=type=cache,target=/c,uid=5,mode=0750 echo \(number) >> /c/log; cat /c/log > /seen; stat -c '%a %u' /c >> /seen
                RUN --mount=type=cache,target=/p,sharing=private touch /p/x
                RUN --mount=type=cache,target=/l,sharing=locked,from=busybox,source=/etc ls /l > /filled
                RUN --mount=type=secret,id=s,target=/s,mode=0444,uid=3 --mount=type=secret,id=s,env=S \\
                    stat -c '%a %u' /s > /mode; test "$S" = "$(cat /s)" && echo "it is $S"
                """
            }
            let secret = { (request: inout ContainerfileBuildRequest) in request.secrets = ["s": Array("hidden-value".utf8)] }
            _ = try await yard.build(text(1), change: secret)
            let built = try await yard.build(text(2), change: secret)
            #expect(
                try await yard.look(built, "cat seen mode filled | tr '\\n' ' '; ls -d s c p l 2>/dev/null | tr '\\n' ' '")
                    == "1 2 750 5 444 3 group passwd ")
            #expect(built.output == ["it is ***"])
            let leaked = try await shell("grep -rl hidden-value \"$0\" || true", yard.folder.string)
            #expect(leaked == "")
        }
    }

    @Test func aSecretInALayerIsRefused() async throws {
        try await Yard.with { yard async throws in
            let error = await #expect(throws: ContainerfileBuildError.self) {
                try await yard.build("FROM busybox\nRUN --mount=type=secret,id=s (head -c 262140 /dev/zero; cat /run/secrets/s) > /etc/config") {
                    $0.secrets = ["s": Array("hidden-value".utf8)]
                }
            }
            #expect(error?.message.contains("/etc/config holds the value of the secret 's'") == true)
        }
    }

    @Test func bindsShowTheContextWithoutWhatIsIgnored() async throws {
        try await Yard.with { yard async throws in
            try yard.write("a", "a")
            try yard.write("sub/b", "b")
            try yard.write("no", "no")
            try yard.write("Containerfile.unused", "")
            try yard.write(".containerignore", "no\n.containerignore\nContainerfile*")
            let built = try await yard.build(
                """
                FROM busybox AS other
                RUN mkdir /x && echo other > /x/f
                FROM busybox
                RUN --mount=target=/ctx --mount=target=/one,source=sub/b ls -R /ctx > /list; cat /one >> /list; ! touch /ctx/new 2>/dev/null
                RUN --mount=target=/x,from=other,source=x,rw echo more >> /x/f && cp /x/f /kept
                RUN --mount=target=/x,from=other,source=x cp /x/f /again
                """)
            #expect(try await yard.look(built, "cat list kept again | tr '\\n' ' '") == "/ctx: a sub  /ctx/sub: b bother more other ")
        }
    }

    @Test func anAgentIsReached() async throws {
        try await Yard.with { yard async throws in
            let path = yard.folder.appending("agent.sock")
            let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { Glibc.close(socket) }
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.string.utf8) }
            let bound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
            #expect(bound == 0 && listen(socket, 1) == 0)
            let text =
                "FROM busybox\nRUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\" && echo $SSH_AUTH_SOCK > /where\nRUN --mount=type=ssh,id=absent test -z \"$SSH_AUTH_SOCK\""
            let built = try await yard.build(text) { $0.agents = ["default": path] }
            #expect(try await yard.look(built, "cat where; ls -d run 2>/dev/null || true") == "/run/buildkit/ssh_agent.0")
        }
    }
}
