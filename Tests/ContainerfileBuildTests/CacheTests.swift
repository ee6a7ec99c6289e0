import ContainerfileBuild
import Foundation
import Glibc
import ImageStore
import OCIModel
import Synchronization
import SystemPackage
import Testing

@Suite(.serialized) struct CacheTests {
    static let text = """
        FROM busybox AS tools
        ARG VERSION=1
        RUN --mount=type=bind,source=script,target=/script sh /script > /made; echo $VERSION >> /made
        FROM busybox
        WORKDIR /srv
        COPY --chown=app --chmod=u=rwX,go=rX files/ ./
        COPY --from=tools /made /srv/made
        COPY <<EOF note
        $HOME
        EOF
        ADD https://a.example/x /x
        RUN --mount=type=secret,id=token,env=TOKEN --mount=type=cache,target=/cache date +%s%N > /when
        """

    func prepare(_ yard: Yard) throws {
        try yard.write("script", "echo made")
        try yard.write("files/a", "a")
        yard.files.content.withLock { $0["https://a.example/x"] = "remote" }
    }

    @Test func aSecondBuildRunsNothing() async throws {
        try await Yard.with { yard async throws in
            try prepare(yard)
            let first = try await yard.build(Self.text)
            #expect(first.image.stepsRun == 7)
            #expect(first.image.stepsCached == 0)
            let second = try await yard.build(Self.text) { $0.secrets = ["token": Array("other".utf8)] }
            #expect(second.image.stepsRun == 0)
            #expect(second.image.stepsCached == 7)
            #expect(second.image.manifest.digest == first.image.manifest.digest)
            #expect(second.output.isEmpty)
            let again = try await yard.build(Self.text) { $0.usesCache = false }
            #expect(again.image.stepsRun == 7)
            #expect(again.image.manifest.digest != first.image.manifest.digest, "the last step writes the time")
        }
    }

    /// What must, and what must not, make a step run again: how many steps run after the change.
    @Test func whatDecides() async throws {
        try await Yard.with { yard async throws in
            try prepare(yard)
            _ = try await yard.build(Self.text)
            func steps(_ text: String = Self.text, change: (inout ContainerfileBuildRequest) -> Void = { _ in }) async throws -> Int {
                try await yard.build(text, change: change).image.stepsRun
            }
            // The same bytes, written later.
            utimes(yard.context.appending("files/a").string, nil)
            try yard.write("files/a", "a")
            #expect(try await steps() == 0)
            chmod(yard.context.appending("files/a").string, 0o755)
            #expect(try await steps() == 5, "a mode: that COPY and all after it, as a layer below them changed")
            chmod(yard.context.appending("files/a").string, 0o644)
            #expect(try await steps() == 0)
            try yard.write("files/b", "b")
            #expect(try await steps() == 5, "a new file")
            try yard.write("script", "echo made # differently")
            #expect(try await steps() == 1, "the bind mount's content; what it writes is the same, so COPY --from is")
            #expect(try await steps { $0.arguments = ["VERSION": "2"] } == 5, "a build argument changes what is copied")
            #expect(try await steps(Self.text.replacing("$HOME", with: "x$HOME")) == 3, "a document")
            yard.files.content.withLock { $0["https://a.example/x"] = "changed" }
            #expect(try await steps() == 2, "what an URL gives")
            #expect(try await steps(Self.text.replacing("target=/cache ", with: "target=/cache,id=1 ")) == 1, "a mount")
        }
    }

    @Test func aLayerThatIsGoneIsMadeAgain() async throws {
        try await Yard.with { yard async throws in
            let text = "FROM busybox\nRUN echo a > /a\nRUN echo b > /b"
            let first = try await yard.build(text)
            let layer = try #require(first.image.layers.last)
            try await yard.store.deleteBlob(layer.digest)
            let second = try await yard.build(text)
            #expect(second.image.stepsRun == 1)
            #expect(second.image.manifest.digest == first.image.manifest.digest)
            #expect(try yard.store.size(of: layer.digest) == layer.size)
        }
    }

    @Test func exportedAndTakenOver() async throws {
        try await Yard.with { yard async throws in
            try prepare(yard)
            let first = try await yard.build(Self.text)
            let manifest = try await yard.builder.exportCache(of: first.image)
            let document = try OCIJSON.decode(Manifest.self, from: try await yard.store.read(manifest.digest))
            #expect(document.artifactType == ContainerfileBuilder.cacheType)
            try FileManager.default.removeItem(atPath: yard.folder.appending("builds/cache").string)
            #expect(try await yard.builder.importCache(manifest.digest) == 7)
            let second = try await yard.build(Self.text)
            #expect(second.image.stepsRun == 0)
            #expect(second.image.manifest.digest == first.image.manifest.digest)
        }
    }
}
