import ContainerfileBuild
import Foundation
import Glibc
import ImageStore
import OCIModel
import SystemPackage
import Testing

@Suite(.serialized) struct StageTests {
    @Test func onlyWhatTheTargetNeedsAndAtTheSameTime() async throws {
        try await Yard.with { yard async throws in
            // Each waits for the other: one after the other they would never end.
            let text = """
                FROM busybox AS left
                RUN --mount=type=cache,id=meet,target=/m touch /m/left; while ! test -e /m/right; do :; done; echo l > /l
                FROM busybox AS right
                RUN --mount=type=cache,id=meet,target=/m touch /m/right; while ! test -e /m/left; do :; done; echo r > /r
                FROM busybox AS broken
                RUN exit 1
                FROM busybox AS both
                COPY --from=left /l /
                COPY --from=1 /r /
                FROM broken
                """
            let built = try await yard.build(text) {
                $0.target = "both"; $0.timeout = .seconds(60)
            }
            #expect(try await yard.look(built, "cat l r") == "l\nr")
            await #expect(throws: ContainerfileBuildError.self) { try await yard.build(text) }
        }
    }

    @Test func platformArgumentsScopesAndInheritance() async throws {
        try await Yard.with { yard async throws in
            let built = try await yard.build(
                """
                ARG V=global
                FROM --platform=$BUILDPLATFORM busybox AS base
                ARG V
                ARG TARGETARCH
                ARG OWN=base
                ENV E=$V-$TARGETARCH
                FROM base
                RUN echo "$E $OWN ${UNSET-unset}" > /out
                """
            ) { $0.arguments = ["UNUSED": "1"] }
            #expect(try await yard.look(built, "cat out") == "global-\(Platform.current.architecture) base unset")
            #expect(built.warnings.contains { $0.contains("UNUSED") })
        }
    }

    @Test func triggersRunInWhatIsBuiltOnTheImage() async throws {
        try await Yard.with { yard async throws in
            try yard.write("f", "f")
            let base = try await yard.build("FROM busybox\nONBUILD COPY f /f\nONBUILD RUN cat /f > /g\nRUN test ! -e /f")
            #expect(base.config.config?.onBuild == ["COPY f /f", "RUN cat /f > /g"])
            let name = try RepositoryName(parsing: "with-triggers")
            try await yard.store.record(manifest: base.image.manifest.digest, mediaType: MediaType.ociManifest, in: name)
            try await yard.store.tag(Tag(parsing: "latest"), as: base.image.manifest.digest, in: name)
            let built = try await yard.build("FROM with-triggers\nRUN test -e /g")
            #expect(try await yard.look(built, "cat g") == "f")
            #expect(built.config.config?.onBuild == nil)
        }
    }

    @Test func shellsScriptsAndDocuments() async throws {
        try await Yard.with { yard async throws in
            let built = try await yard.build(
                """
                FROM busybox
                RUN <<ONE
                cd /tmp
                echo one > /one
                ONE
                RUN <<TWO
                #!/bin/busybox ash
                echo "two $0" > /two
                TWO
                RUN cat <<A > /three && cat <<B > /four
                three
                A
                four
                B
                SHELL ["/bin/sh", "-euc"]
                RUN echo $- > /five
                CMD run
                COPY <<"X" <<Y /docs/
                $HOME
                X
                $PATH
                Y
                """)
            let seen = try await yard.look(built, "cat one two three four docs/X docs/Y; grep -c u five; ls -d tmp/*  dev 2>/dev/null || true")
            #expect(
                seen.split(separator: "\n").map(String.init) == [
                    "one", "two /dev/pipes/TWO", "three", "four", "$HOME", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "1",
                ] || seen.hasPrefix("one\ntwo /dev/pipes/TWO\nthree\nfour\n$HOME\n"))
            #expect(built.config.config?.cmd == ["/bin/sh", "-euc", "run"])
            #expect(built.config.config?.shell == ["/bin/sh", "-euc"])
        }
    }

    @Test func entrypointForgetsAnInheritedCommand() async throws {
        try await Yard.with { yard async throws in
            let text = "FROM busybox AS a\nCMD [\"x\"]\nFROM a\nENTRYPOINT [\"e\"]"
            #expect(try await yard.build(text).config.config?.cmd == nil)
            #expect(try await yard.build("FROM busybox\nCMD [\"x\"]\nENTRYPOINT [\"e\"]").config.config?.cmd == ["x"])
            #expect(try await yard.build("FROM busybox\nENTRYPOINT [\"e\"]\nENTRYPOINT []").config.config?.entrypoint == nil)
        }
    }
}
