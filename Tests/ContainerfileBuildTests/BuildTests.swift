import ContainerfileBuild
import Foundation
import Glibc
import OCIModel
import Synchronization
import Testing

@Suite(.serialized) struct BuildTests {
    @Test func commandsFilesAndConfig() async throws {
        try await Yard.with { yard async throws in
            try yard.write("app/main", "hello\n", mode: 0o4755)
            let built = try await yard.build(
                """
                ARG BASE=busybox
                FROM $BASE
                ARG GREETING=hi
                ENV NAME=world PATH=/bin:/usr/bin
                LABEL a=1 b="two $NAME"
                RUN echo "$GREETING $NAME" > /greeting && echo seen
                WORKDIR /srv
                COPY --chown=app app/ data/
                USER app
                RUN id -u > /tmp/user; pwd > /tmp/folder; echo $HOME > /tmp/home
                EXPOSE 80 53/udp
                VOLUME /data
                STOPSIGNAL SIGINT
                HEALTHCHECK --interval=5s CMD true
                ENTRYPOINT ["/srv/data/main"]
                CMD serve all
                """)
            let config = try #require(built.config.config)
            #expect(config.env == ["PATH=/bin:/usr/bin", "NAME=world"] || config.env == ["NAME=world", "PATH=/bin:/usr/bin"])
            #expect(config.labels == ["a": "1", "b": "two world"])
            #expect(config.user == "app")
            #expect(config.workingDir == "/srv")
            #expect(config.exposedPorts?.keys.sorted() == ["53/udp", "80/tcp"])
            #expect(config.volumes?.keys.sorted() == ["/data"])
            #expect(config.stopSignal == "SIGINT")
            #expect(config.healthcheck == .init(test: ["CMD-SHELL", "true"], interval: 5_000_000_000))
            #expect(config.entrypoint == ["/srv/data/main"])
            #expect(config.cmd == ["/bin/sh", "-c", "serve all"])
            #expect(built.output == ["seen"])
            #expect(built.config.created == "1970-01-01T00:00:00Z")
            let history = try #require(built.config.history)
            #expect(history.count { $0.emptyLayer != true } == built.config.rootfs.diffIDs.count)
            let seen = try await yard.look(
                built, "cat greeting tmp/user tmp/folder tmp/home; stat -c '%a %u:%g %Y' srv srv/data srv/data/main")
            #expect(seen == "hi world\n1000\n/srv\n/home/app\n755 0:0 0\n755 1000:2000 0\n4755 1000:2000 0")
        }
    }

    @Test func nothingOfTheRuntimeLeaks() async throws {
        try await Yard.with { yard async throws in
            let built = try await yard.build(
                """
                FROM busybox
                RUN --mount=type=cache,target=/var/cache/x --mount=type=tmpfs,target=/scratch --mount=type=bind,target=/ctx \\
                    --mount=type=secret,id=token,target=/run/secrets/deep/token,required \\
                    cat /run/secrets/deep/token > /dev/null && touch /var/cache/x/kept /scratch/gone /done && ls /ctx
                RUN echo "127.0.0.1 me" >> /etc/hosts; test -s /etc/hostname
                """
            ) { $0.secrets = ["token": Array("s3cr3t-value".utf8)] }
            let paths = try await yard.look(built, "find . -newermt 1900-01-01 ! -path './bin/*' | sort | tr '\\n' ' '")
            #expect(paths == ". ./bin ./done ./etc ./etc/group ./etc/passwd ./home ./home/app ./lib ./root ./tmp ./usr ./usr/lib ")
            // The second RUN changed nothing that stays.
            #expect(built.image.layers.count == 2)
        }
    }

    @Test func failuresNameTheLine() async throws {
        try await Yard.with { yard async throws in
            let cases: [(String, String, Int)] = [
                ("RUN exit 7", "exit code 7", 2), ("COPY missing /", "'missing' is not in the build context", 2),
                ("COPY ../x /", "leads out of the build context", 2), ("RUN --mount=type=secret,id=a,required true", "the secret 'a'", 2),
                ("USER nobody\nRUN true", "no user 'nobody'", 3), ("COPY --chown=ghost a /", "no user 'ghost'", 2),
                ("RUN --network=host true", "--network=host is not allowed", 2), ("RUN [\"nosuch\"]", "no command 'nosuch'", 2),
                ("ADD https://a.example/404 /x", "404", 2),
                ("COPY --from=absent /x /x", "no image absent", 2), ("RUN --security=insecure true", "insecure", 2),
                ("ADD --checksum=sha256:\(String(repeating: "0", count: 64)) https://a.example/f /x", "has checksum", 2),
            ]
            try yard.write("a", "x")
            yard.files.content.withLock { $0["https://a.example/f"] = "content" }
            for (text, message, line) in cases {
                let error = await #expect(throws: (any Error).self) { try await yard.build("FROM busybox\n\(text)") }
                let shown = "\(try #require(error))"
                #expect(shown.contains(message), "\(text): \(shown)")
                #expect(shown.contains("Containerfile:\(line)"), "\(text): \(shown)")
            }
        }
    }
}
