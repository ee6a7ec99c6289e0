import ContainerfileBuild
import Foundation
import Glibc
import ImageStore
import OCIModel
import Synchronization
import SystemPackage
import Testing

@Suite(.serialized) struct CopyTests {
    @Test func patternsParentsExcludesAndIgnoreFile() async throws {
        try await Yard.with { yard async throws in
            for name in ["src/a.go", "src/b.go", "src/deep/c.go", "src/readme.md", "docs/x.md", "secret/key", "secret/public"] {
                try yard.write(name, name)
            }
            try yard.write(".dockerignore", "secret\n!secret/public\n*.log\n")
            try yard.write("x.log", "log")
            let built = try await yard.build(
                """
                FROM busybox
                COPY src/*.go /flat/
                COPY --parents src/./**/*.go docs /parents/
                COPY --exclude=**/*.md --exclude=deep . /all/
                COPY src/a.go /renamed
                COPY src/a.go nothing* /some/
                """)
            let paths = try await yard.look(built, "find flat parents all renamed some -type f | sort")
            #expect(
                paths.split(separator: "\n").map(String.init) == [
                    "all/.dockerignore", "all/secret/public", "all/src/a.go", "all/src/b.go", "all/src/deep/c.go", "flat/a.go", "flat/b.go",
                    "parents/a.go", "parents/b.go", "parents/deep/c.go", "parents/docs/x.md", "renamed", "some/a.go",
                ])
            let error = await #expect(throws: ContainerfileBuildError.self) { try await yard.build("FROM busybox\nCOPY secret/key /") }
            #expect(error?.code == .notFound)
        }
    }

    @Test func linksStayInside() async throws {
        try await Yard.with { yard async throws in
            try yard.write("real/file", "inside")
            symlink("/etc/passwd", yard.context.appending("out").string)
            symlink("/real", yard.context.appending("folder").string)
            symlink("real/file", yard.context.appending("to-file").string)
            let built = try await yard.build(
                """
                FROM busybox
                RUN ln -s /etc/outside /link && ln -s ../../../../srv /up && mkdir /srv
                COPY to-file /plain
                COPY folder/file /through
                COPY real/file /up/
                COPY . /all/
                COPY real/ /lib/
                """)
            let seen = try await yard.look(
                built, "cat plain through srv/file usr/lib/file; readlink all/out all/to-file lib; stat -c %F plain")
            #expect(
                seen.split(separator: "\n").map(String.init) == [
                    "insideinsideinsideinside/etc/passwd", "real/file", "usr/lib", "regular file",
                ])
            // An absolute link is looked up in the context, where there is no such file.
            let error = await #expect(throws: ContainerfileBuildError.self) { try await yard.build("FROM busybox\nCOPY out /x") }
            #expect(error?.code == .notFound)
        }
    }

    @Test func specialFilesAttributesAndHardLinks() async throws {
        try await Yard.with { yard async throws in
            let built = try await yard.build(
                """
                FROM busybox AS made
                RUN mkdir /t && cd /t && echo x > one && ln one two && mkfifo pipe && chmod 6755 one \\
                    && touch -d @1 old && chown 5:6 old && ln -s nowhere dangling
                FROM scratch
                COPY --from=made /t /t
                COPY --from=made --chown=7:8 --chmod=0600 /t/old /changed
                """)
            let seen = try await yard.look(
                built, "cd t && stat -c '%n %F %a %u:%g %h' * ../changed | tr '\\n' ';'; [ one -ef two ] && echo same")
            #expect(
                seen == "dangling symbolic link 777 0:0 1;old regular empty file 644 5:6 1;"
                    + "one regular file 6755 0:0 2;pipe fifo 644 0:0 1;two regular file 6755 0:0 2;../changed regular empty file 600 7:8 1;same")
        }
    }

    @Test func deletionsBecomeWhiteouts() async throws {
        try await Yard.with { yard async throws in
            let built = try await yard.build(
                """
                FROM busybox
                RUN mkdir -p /d/keep /d/gone && touch /d/file /d/gone/inner
                RUN rm /d/file && rm -r /d/gone && mkdir /d/gone && touch /d/gone/new
                RUN rm -r /d/keep && ln -s gone /d/keep
                """)
            #expect(try await yard.look(built, "find d | sort | tr '\\n' ' '; readlink d/keep") == "d d/gone d/gone/new d/keep gone")
            let layer = try #require(built.image.layers.dropLast().last)
            let names = try await shell("tar tf \"$0\" | tr '\\n' ' '", yard.store.path(of: layer.digest).string)
            #expect(names == "d/ d/.wh.file d/gone/ d/gone/.wh..wh..opq d/gone/new ")
        }
    }

    @Test func addUnpacksFetchesAndClones() async throws {
        try await Yard.with { yard async throws in
            let make = """
                cd "$0" && mkdir in && echo a > in/a && mkdir in/sub && echo b > in/sub/b && for f in gz xz bz2 zst; do
                case $f in gz) c=gzip;; xz) c=xz;; bz2) c=bzip2;; zst) c=zstd;; esac
                tar -C in --owner=11 --group=12 -c . | $c > in.tar.$f; done; tar -C in -cf in.tar . && rm -r in; echo text | gzip > text.gz
                """
            try await shell(make, yard.context.string)
            yard.files.content.withLock { $0["https://a.example/dir/file.txt?x=1"] = "remote" }
            let sum = Digest.sha256(Array("remote".utf8))
            let text = """
                FROM busybox
                ADD in.tar /plain/
                ADD in.tar.gz /gz/
                ADD in.tar.xz /xz/
                ADD in.tar.bz2 /bz2/
                ADD in.tar.zst /zst/
                ADD --unpack=false in.tar.gz /packed/
                ADD text.gz /text/
                ADD --checksum=\(sum) --chmod=0644 https://a.example/dir/file.txt?x=1 /url/
                ADD --chown=3:4 https://github.example/a/b.git#main:sub /git
                """
            let built = try await yard.build(text)
            let seen = try await yard.look(
                built,
                "find plain gz xz bz2 zst packed text url git -type f | sort | tr '\\n' ' '; stat -c '%u:%g' gz/a git/main; stat -c '%a %Y' url/file.txt"
            )
            #expect(
                seen == "bz2/a bz2/sub/b git/main gz/a gz/sub/b packed/in.tar.gz plain/a plain/sub/b text/text.gz url/file.txt xz/a xz/sub/b "
                    + "zst/a zst/sub/b 11:12\n3:4\n644 -100")
            // A checksum that is known needs no request.
            let before = yard.files.fetched.withLock { $0 }
            #expect(try await yard.build(text).image.stepsRun == 0)
            #expect(yard.files.fetched.withLock { $0 } == before)
        }
    }

    @Test func linkedCopiesDoNotDependOnWhatIsBelow() async throws {
        try await Yard.with { yard async throws in
            try yard.write("a", "a")
            let first = try await yard.build("FROM busybox\nRUN echo 1 > /1\nCOPY --link a /d/a\nCOPY a /e/a")
            let second = try await yard.build("FROM busybox\nRUN echo 2 > /1\nCOPY --link a /d/a\nCOPY a /e/a")
            #expect(second.image.stepsRun == 2)
            #expect(second.image.stepsCached == 1)
            #expect(first.image.layers[2] == second.image.layers[2])
        }
    }
}
