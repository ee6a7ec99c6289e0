import Testing

@testable import Containerfile

@Suite struct InstructionTests {
    @Test func readsRunForms() throws {
        func command(_ text: String) throws -> RunInstruction.Command? {
            guard case .run(let run) = try Text.instruction(text).kind else { return nil }
            return run.command
        }
        #expect(try command("RUN echo \"$HOME\"  'x'") == .shell("echo \"$HOME\"  'x'"))
        #expect(try command("run [ \"a\", \"\\u0062\\n\" ]") == .exec(["a", "b\n"]))
        #expect(try command("RUN [ -f x ] && y") == .shell("[ -f x ] && y"))
        #expect(try command("RUN ['a']") == .shell("['a']"))
        #expect(try command("RUN -- --flag") == .shell("--flag"))
        #expect(try command("RUN <<EOF\n a\n  b\nEOF") == .shell(" a\n  b\n"))
        #expect(try command("RUN <<-'EOF'\n\t\ta\n\tb\n\tEOF") == .shell("a\nb\n"))
        #expect(try command("RUN <<X\n#!/bin/cat\nq\nX") == .script(name: "X", content: "#!/bin/cat\nq\n"))
        #expect(try command("RUN cat <<A <<\"B\" > /x\n1\nA\n2\nB") == .shell("cat <<A <<\"B\" > /x\n1\nA\n2\nB"))
        #expect(try command("RUN echo $(( 1 << 2 ))") == .shell("echo $(( 1 << 2 ))"))
        #expect(try command("RUN cat <<<word") == .shell("cat <<<word"))
        #expect(try command("RUN echo '<<EOF'") == .shell("echo '<<EOF'"))
        #expect(try command("RUN echo \"<<EOF\"") == .shell("echo \"<<EOF\""))
        #expect(try command("RUN [\"cat\", \"<<EOF\"]") == .exec(["cat", "<<EOF"]))
        #expect(try command("RUN a \\\n# comment\n  b \\\n\n c") == .shell("a   b  c"))
    }

    @Test func readsRunFlags() throws {
        let text = "RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --network=none --security=insecure x"
        guard case .run(let run) = try Text.instruction(text).kind else { throw Failure() }
        #expect(run.mounts.count == 2)
        #expect(try run.mounts[1].resolved(in: [:]) == .tmpfs(target: "/t", size: nil))
        #expect(run.network == .none)
        #expect(run.security == .insecure)
        #expect(run.command == .shell("x"))
        guard case .run(let quoted) = try Text.instruction("RUN --mount=\"type=bind,from=x,\\\"target=/a b\\\"\" ls").kind else {
            throw Failure()
        }
        #expect(
            try quoted.mounts.first?.resolved(in: [:])
                == .bind(BindMount(from: "x", source: "/", target: "/a b", isReadOnly: true)))
    }

    @Test func readsCopy() throws {
        let text = "COPY --from=build --chown=1:2 --chmod=0644 --link --parents=true --exclude=*.o --exclude=tmp a ./b* /to/"
        guard case .copy(let copy) = try Text.instruction(text).kind else { throw Failure() }
        #expect(copy.from == "build")
        #expect(copy.options.owner?.text == "1:2")
        #expect(copy.options.mode?.text == "0644")
        #expect(copy.options.isLinked)
        #expect(copy.keepsParents)
        #expect(copy.options.excludes == ["*.o", "tmp"])
        #expect(copy.destination.text == "/to/")
        #expect(paths(copy.sources) == ["a", "./b*"])
        guard case .copy(let json) = try Text.instruction("COPY [\"a b\", \"c\", \"/d e/\"]").kind else { throw Failure() }
        #expect(paths(json.sources) == ["a b", "c"])
        #expect(json.destination.text == "/d e/")
    }

    @Test func anEmptyDestinationIsTheWorkingDirectory() throws {
        guard case .copy(let copy) = try Text.instruction("COPY a ''").kind else { throw Failure() }
        #expect(copy.destination.text.isEmpty)
    }

    @Test func readsHeredocSources() throws {
        let text = "COPY <<A x <<-\"B\" /to/\n$V \\$V\nA\n\t$V\n\tB\n"
        guard case .copy(let copy) = try Text.instruction(text).kind else { throw Failure() }
        guard case .heredoc(let first) = copy.sources[0], case .heredoc(let second) = copy.sources[2] else { throw Failure() }
        #expect(first.name == "A")
        #expect(try first.content.expanded(in: ["V": "v"]) == "v $V\n")
        #expect(second.name == "B")
        #expect(try second.content.expanded(in: ["V": "v"]) == "$V\n")
        #expect(paths(copy.sources) == ["x"])
        guard case .copy(let empty) = try Text.instruction("COPY <<EOF /f\nEOF").kind, case .heredoc(let none) = empty.sources[0]
        else { throw Failure() }
        #expect(none.content.source.isEmpty)
    }

    private func paths(_ sources: [CopySource]) -> [String] {
        sources.compactMap { if case .path(let word) = $0 { word.text } else { nil } }
    }

    @Test func readsAdd() throws {
        let text = "ADD --checksum=sha256:00 --keep-git-dir=false --unpack https://x/y.tar.gz /z"
        guard case .add(let add) = try Text.instruction(text).kind else { throw Failure() }
        #expect(add.checksum?.text == "sha256:00")
        #expect(add.keepsGitDirectory == false)
        #expect(add.unpacks == true)
        guard case .add(let plain) = try Text.instruction("ADD a b /z").kind else { throw Failure() }
        #expect(plain.unpacks == nil && plain.keepsGitDirectory == nil && plain.checksum == nil)
    }

    @Test func readsPairs() throws {
        func pairs(_ text: String) throws -> [String] {
            switch try Text.instruction(text).kind {
            case .environment(let pairs), .label(let pairs): pairs.map { "\($0.key.text)|\($0.value.text)" }
            case .argument(let declarations): declarations.map { "\($0.name)|\($0.value?.text ?? "-")" }
            default: throw Failure()
            }
        }
        #expect(try pairs("ENV a=1 b=\"x y\" c='z w' d=e\\ f g=") == ["a|1", "b|x y", "c|z w", "d|e f", "g|"])
        #expect(try pairs("ENV a  one two  ") == ["a|one two"])
        #expect(try pairs("LABEL \"a b\"=c d.e/f=\"g\"") == ["a b|c", "d.e/f|g"])
        #expect(try pairs("ARG a b=1 c=\"2 3\" d=") == ["a|-", "b|1", "c|2 3", "d|"])
        #expect(try pairs("ENV a=b=c") == ["a|b=c"])
    }

    @Test func readsSimpleOnes() throws {
        #expect(try Text.instruction("CMD [\"a\"]").kind == .command(.exec(["a"])))
        #expect(try Text.instruction("CMD a b").kind == .command(.shell("a b")))
        #expect(try Text.instruction("CMD []").kind == .command(.exec([])))
        #expect(try Text.instruction("ENTRYPOINT []").kind == .entrypoint(.exec([])))
        #expect(try Text.instruction("SHELL [\"/bin/bash\", \"-c\"]").kind == .shell(["/bin/bash", "-c"]))
        #expect(try Text.instruction("MAINTAINER A <a@b> $x").kind == .maintainer("A <a@b> $x"))
        guard case .volume(let volumes) = try Text.instruction("VOLUME /a /b").kind else { throw Failure() }
        #expect(volumes.map(\.text) == ["/a", "/b"])
        guard case .expose(let ports) = try Text.instruction("EXPOSE 80 53/udp $P").kind else { throw Failure() }
        #expect(ports.map(\.text) == ["80", "53/udp", "<$P>"])
        guard case .workingDirectory(let folder) = try Text.instruction("WORKDIR /a b").kind else { throw Failure() }
        #expect(folder.text == "/a b")
        guard case .user(let user) = try Text.instruction("USER $U:g").kind else { throw Failure() }
        #expect(user.variables == ["U"])
        guard case .stopSignal(let signal) = try Text.instruction("STOPSIGNAL SIGQUIT").kind else { throw Failure() }
        #expect(signal.text == "SIGQUIT")
    }

    @Test func readsHealthchecks() throws {
        #expect(try Text.instruction("HEALTHCHECK NONE").kind == .healthcheck(.none))
        let text = "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0 --start-interval=300ms --retries=4 CMD [\"a\"]"
        #expect(
            try Text.instruction(text).kind
                == .healthcheck(
                    .command(
                        .exec(["a"]),
                        HealthcheckTiming(
                            interval: .seconds(90), timeout: .milliseconds(1500), startInterval: .milliseconds(300), retries: 4))))
        #expect(try Text.instruction("HEALTHCHECK cmd a || b").kind == .healthcheck(.command(.shell("a || b"), HealthcheckTiming())))
    }

    @Test func readsTriggers() throws {
        guard case .onBuild(let trigger) = try Text.instruction("ONBUILD COPY <<EOF /x\nhi\nEOF").kind else { throw Failure() }
        #expect(trigger.text == "COPY <<EOF /x\nhi\nEOF")
        guard case .copy = trigger.instruction.kind else { throw Failure() }
        let again = try ContainerfileParser.parseTrigger(trigger.text, image: "x")
        #expect(again.text == trigger.instruction.text)
        let error = #expect(throws: ContainerfileError.self) { try ContainerfileParser.parseTrigger("RUNN x", image: "x") }
        #expect(error?.diagnostics.first?.line == 1)
        #expect(error?.diagnostics.first?.column == 1)
        #expect(throws: ContainerfileError.self) { try ContainerfileParser.parseTrigger("RUN a\nRUN b", image: "x") }
        #expect(throws: ContainerfileError.self) { try ContainerfileParser.parseTrigger("FROM x", image: "x") }
    }

    private struct Failure: Error {}
}
