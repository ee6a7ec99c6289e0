import Testing

@testable import Containerfile

/// Every mistake names its place and the way out.
@Suite struct MistakeTests {
    @Test(arguments: [
        ("RUNN x", 1, "did you mean 'RUN'?"), ("COPPY a b", 1, "did you mean 'COPY'?"),
        ("COPY --chwon=1 a b", 6, "did you mean '--chown'?"), ("COPY --form=x a b", 6, "did you mean '--from'?"),
        ("CMD --x y", 5, "CMD has no flags; write -- before an argument that begins with --"),
        ("COPY --link --link a b", 13, "keep one of them"), ("COPY --from= a b", 6, "write --from=…"),
        ("COPY --link=maybe a b", 6, "write --link=true"), ("COPY a", 1, "write it as in COPY file /folder/"),
        ("COPY a\\ b /c", 7, "write the JSON form: COPY [\"a b\", …]"),
        ("COPY \"a b\" /c", 6, "quotes don't hold white space together in COPY; write the JSON form: [\"a b\", …]"),
        ("COPY --from=$X a b", 13, "name a stage here, and use the variable in that stage's FROM"),
        ("COPY '' /b", 6, "'.' is all of the context"), ("COPY --chmod=9 a b", 14, "write it in octal as in 0755, or as in u=rwX,go=rX"),
        ("COPY --chown=a:b:c a b", 14, "write user, user:group, or numbers as in 1000:1000"),
        ("COPY a <<EOF\nEOF", 8, "write the destination last"), ("COPY << EOF /x\nEOF", 6, "write <<NAME"),
        ("COPY <<\\EOF /x\nEOF", 6, "write <<'EOF'"), ("COPY <<a/b /x\na/b", 6, "give the path as the destination"),
        ("COPY --from=x <<EOF /x\nEOF", 15, "use a COPY of its own for it"),
        ("ADD --checksum=sha256:0 a b /c", 16, "use an ADD for each source"),
        ("RUN --device=x y", 5, "CDI devices are not passed to builds; use --mount or another machine"),
        ("RUN --network=nonne y", 15, "did you mean 'none'?"), ("RUN --security=x y", 16, "known are sandbox, insecure"),
        ("RUN", 1, "write it as in RUN [\"program\", \"argument\"]"), ("RUN []", 5, "write [\"program\", \"argument\"]"),
        ("RUN [\"a\", 1]", 11, "put it between double quotes"), ("SHELL /bin/sh -c", 1, "write it as in SHELL [\"/bin/bash\", \"-c\"]"),
        ("RUN cat <<EOF\nx", 9, "end it with a line that holds 'EOF' only, not indented"),
        ("RUN cat <<EOF>/x\nEOF", 9, "the delimiter ends at white space: put a space after the name"),
        ("ENV a", 1, "write it as in ENV KEY=value"), ("ENV a=b c", 9, "write key=value, and quote a value with white space: key=\"a b\""),
        ("ENV =b", 5, "write ENV KEY=value"), ("ENV a=\"b", 7, "close it with \", or write \\\" for the character"),
        ("ARG", 1, "write it as in ARG VERSION=1.0"), ("ARG \"a=b\"", 5, "use letters, digits and '_'; quote the value only: NAME=\"a b\""),
        ("EXPOSE 80:80", 8, "write the container's port only, as in EXPOSE 80/tcp"),
        ("EXPOSE 70000", 8, "write it as in 80, 53/udp or 8000-8010/tcp"),
        ("HEALTHCHECK --interval=x CMD y", 24, "write it as in --interval=1m30s"),
        ("HEALTHCHECK --interval=1us CMD y", 24, "write 1ms or more"), ("HEALTHCHECK --retries=-1 CMD y", 23, "write it as in --retries=3"),
        ("HEALTHCHECK --interval=1s NONE", 13, "remove the flag"), ("HEALTHCHECK NONE x", 18, "remove them"),
        ("HEALTHCHECK curl", 13, "write HEALTHCHECK CMD command, or HEALTHCHECK NONE"),
        ("ONBUILD ONBUILD RUN x", 9, "ONBUILD takes every other instruction"), ("ONBUILD FROM x", 9, "ONBUILD takes every other instruction"),
        ("ONBUILD RUNN x", 9, "did you mean 'RUN'?"), ("STOPSIGNAL SIGTREM", 12, "did you mean 'SIGTERM'?"),
        ("VOLUME [\"\"]", 9, "write VOLUME /data"), ("WORKDIR \"\"", 9, "write WORKDIR /folder"),
        ("COPY a\u{A0}b /c", 7, "replace it by a plain space, or quote it"),
        ("RUN\u{A0}x", 1, "a no-break space or another wide space stands in it: replace it by a plain one"),
        ("USER", 1, "write it as in USER value"),
        ("RUN --mount=type=bnd,target=/x y", 13, "did you mean 'bind'?"),
    ])
    func namesPlaceAndWayOut(_ text: String, _ column: Int, _ suggestion: String) throws {
        let error = try Text.error("FROM scratch\n" + text)
        let diagnostic = try #require(error.diagnostics.first)
        #expect(diagnostic.file == "Containerfile")
        #expect(diagnostic.line == 2)
        #expect(diagnostic.column == column)
        #expect(diagnostic.suggestion == suggestion)
    }

    @Test func showsTheLineWithACaret() throws {
        let error = try Text.error("FROM scratch\nRUN a \\\n  && b\nCOPY \\\n\t--chwon=1 a b\n")
        #expect(
            error.description == """
                Containerfile:5:2: error: COPY has no flag '--chwon'
                 5 | \t--chwon=1 a b
                   | \t^
                   = did you mean '--chown'?
                """)
        #expect(error.message == "Containerfile:5:2: COPY has no flag '--chwon'")
    }

    @Test func collectsMistakes() throws {
        let error = try Text.error("FROM scratch\nFOO\nRUN x\nBAR\nCOPY a\n")
        #expect(error.diagnostics.map(\.line) == [2, 4, 5])
        #expect(error.code == .syntax)
        let many = try Text.error("FROM scratch\n" + String(repeating: "FOO\n", count: 1000))
        #expect(many.diagnostics.count == 50)
    }

    @Test(arguments: [
        ("", "the file holds no instruction"), ("# only a comment\n\n", "the file holds no instruction"),
        ("ARG X=1\n", "the file holds no FROM"), ("RUN x\nFROM scratch", "RUN stands before the first FROM"),
        ("FROM", "FROM needs a base"), ("FROM a b", "'b' stands behind the base"), ("FROM a AS", "the stage's name is missing"),
        ("FROM a AS b c", "something stands behind the stage's name"), ("FROM a AS 1b", "'1b' is no name of a stage"),
        ("FROM a AS x\nFROM b AS X", "there is a stage 'x' already, in line 1"), ("FROM a AS scratch", "no stage may be called 'scratch'"),
        ("# escape=x\nFROM a", "'x' cannot be the escape character"), ("# escape=\\\n# escape=`\nFROM a", "the directive 'escape' is given twice"),
        ("# syntax=example.com/other\nFROM a", "the frontend 'example.com/other' is not run here"),
        ("# check=skipp=x\nFROM a", "'skipp=x' is no option of check"),
        ("FROM --platfrom=x a", "FROM has no flag '--platfrom'"),
    ])
    func refusesFiles(_ text: String, _ message: String) throws {
        #expect(try Text.error(text).diagnostics.first?.message == message)
    }

    @Test func refusesBytesThatAreNoText() throws {
        func error(_ bytes: [UInt8]) throws -> Diagnostic? {
            try #require(throws: ContainerfileError.self) { try ContainerfileParser.parse(bytes, file: "f") }.diagnostics.first
        }
        let invalid = try error(Array("FROM a\nRUN \u{e4}".utf8) + [0xff, 0x41])
        #expect(invalid?.message == "the file is not UTF-8")
        #expect(invalid?.line == 2)
        #expect(invalid?.column == 6)
        let null = try error(Array("FROM a\nRUN \0".utf8))
        #expect(null?.message == "a NUL character stands here")
        #expect(null?.line == 2)
        #expect(try error(Array(repeating: 0x20, count: (1 << 20) + 1))?.message == "the file has 1048577 bytes, more than 1048576")
        let odd = try error(Array("FROM a\nR\u{1b}[31mX\u{202e} y".utf8))
        #expect(odd?.description.contains("\u{1b}") == false)
        #expect(odd?.description.contains("\u{202e}") == false)
    }

    @Test(
        .timeLimit(.minutes(3)),
        arguments: [
            "FROM a\nRUN " + String(repeating: "\\\n", count: 300_000) + "x", "FROM a\nENV " + String(repeating: "a=b ", count: 200_000),
            "FROM a\nRUN " + String(repeating: "${", count: 400_000) + " <<x", "FROM a\nRUN " + String(repeating: "\"", count: 900_001),
            "FROM a\nUSER " + String(repeating: "${a:-", count: 150_000), "FROM a\nCMD " + String(repeating: "[", count: 900_000),
            "FROM a\nRUN " + String(repeating: "<<a ", count: 200_000), "FROM a\nCOPY " + String(repeating: "a \\\n", count: 200_000) + " /b",
            String(repeating: "FROM a\n", count: 100_000), String(repeating: "#\n", count: 400_000),
            "FROM a\nRUN <<E\n" + String(repeating: "E \n", count: 300_000),
            "FROM a\nRUN --mount=" + String(repeating: "target=/a,", count: 80_000),
            "FROM a\nCOPY [" + String(repeating: "\"a\",", count: 200_000) + "\"b\"]",
            "FROM a\nUSER " + String(repeating: "\"", count: 900_000), "FROM a\nLABEL " + String(repeating: "'", count: 900_001),
            "FROM a\nENV " + String(repeating: "key=1 ", count: 150_000), "FROM a\nEXPOSE " + String(repeating: "80/TCP ", count: 100_000),
            "FROM a\nRUN " + String(repeating: "$((", count: 300_000), "FROM a\n" + String(repeating: "RUN a \\\n\n", count: 90_000),
        ])
    func hostileFilesAreReadInLinearTime(_ text: String) throws {
        let clock = ContinuousClock()
        let time = clock.measure { _ = try? Text.parse(text) }
        // Unoptimised, and on a busy machine.
        #expect(time < .seconds(60))
    }
}
