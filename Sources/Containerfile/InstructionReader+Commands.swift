extension InstructionReader {
    /// RUN [--mount --network --security] command
    mutating func run() throws(Mistake) -> Instruction.Kind {
        let flags = try flags(
            ["mount", "network", "security"], repeated: ["mount"],
            unsupported: ["device": "CDI devices are not passed to builds; use --mount or another machine"])
        var mounts: [MountFlag] = []
        for flag in flags["mount"] ?? [] {
            guard let value = try value(flag) else { continue }
            mounts.append(try MountFlag.parse(value, escape: escape))
        }
        return .run(
            RunInstruction(
                command: try runCommand(), mounts: mounts,
                network: try choice(flags["network"]?.first) ?? .default,
                security: try choice(flags["security"]?.first) ?? .sandbox))
    }

    private func choice<Value: RawRepresentable & CaseIterable>(
        _ flag: Statement.Flag?
    ) throws(Mistake) -> Value? where Value.RawValue == String {
        guard let flag, let value = try value(flag) else { return nil }
        guard let choice = Value(rawValue: value.string) else {
            throw value.error(
                .invalid, at: 0, "\(SourceText.quoted(value.string)) is no value of --\(flag.name)",
                suggestion: Suggestion.didYouMean(value.string, among: Value.allCases.map(\.rawValue), orList: true))
        }
        return choice
    }

    private mutating func runCommand() throws(Mistake) -> RunInstruction.Command {
        guard let first = documents.first else {
            switch try commandLine(needsArguments: true) {
            case .exec(let arguments): return .exec(arguments)
            case .shell(let text): return .shell(text)
            }
        }
        guard documents.count > 1 || HeredocMarker(rest) == nil else {
            // The document alone is the script.
            let content = first.marker.stripsTabs ? HeredocMarker.withoutTabs(first.content) : first.content
            guard content.unicodeScalars.starts(with: "#!".unicodeScalars) else { return .shell(content) }
            guard !first.marker.name.contains("/") else {
                throw first.marker.place.error(
                    .invalid, at: 0, "the heredoc's name is a file name and holds no '/'", suggestion: "write <<EOF")
            }
            return .script(name: first.marker.name, content: content)
        }
        // The shell reads the documents itself.
        return .shell(documents.reduce(rest.string) { text, document in "\(text)\n\(document.content)\(document.marker.name)" })
    }

    /// CMD, ENTRYPOINT, RUN and the command of HEALTHCHECK: exec form when it is a JSON array of strings, else shell form.
    mutating func commandLine(_ command: Fragment? = nil, needsArguments: Bool = false) throws(Mistake) -> CommandLine {
        if command == nil, !["RUN", "HEALTHCHECK"].contains(statement.name) { _ = try flags([]) }
        let command = command ?? rest
        guard !command.scalars.isEmpty else {
            throw missing("needs a command", example: "\(statement.name) [\"program\", \"argument\"]")
        }
        switch JSONArray.parse(command.scalars) {
        case .strings(let strings):
            guard !strings.isEmpty || !needsArguments else {
                throw command.error(.invalid, at: 0, "the command is empty", suggestion: "write [\"program\", \"argument\"]")
            }
            return .exec(strings.map(\.text))
        case .notStrings(let offset):
            throw command.error(
                .invalid, at: offset, "the exec form holds strings only", suggestion: "put it between double quotes")
        case .none:
            if command.scalars.first == "[", command.scalars.last == "]" {
                warn(
                    nil, at: command, "this is not JSON, so the shell runs it as it stands",
                    suggestion: "for the exec form use double quotes, and \\\\ for a backslash")
            }
            return .shell(command.string)
        }
    }

    /// SHELL ["program", "argument"…]
    func shell() throws(Mistake) -> Instruction.Kind {
        _ = try flags([])
        let example = "SHELL [\"/bin/bash\", \"-c\"]"
        switch JSONArray.parse(rest.scalars) {
        case .strings(let strings) where !strings.isEmpty: return .shell(strings.map(\.text))
        case .notStrings(let offset): throw notAString(offset)
        case .strings, .none: throw missing("needs a JSON array of strings", example: example)
        }
    }

    /// HEALTHCHECK NONE, or HEALTHCHECK [flags] CMD command
    mutating func healthcheck() throws(Mistake) -> Instruction.Kind {
        let scalars = rest.scalars
        let end = scalars.firstIndex(where: \.isBlank) ?? scalars.count
        let form = rest[0..<end], command = rest[end..<scalars.count].trimmed
        let known = ["interval", "timeout", "start-period", "start-interval", "retries"]
        switch form.string.uppercased() {
        case "NONE":
            if let flag = statement.flags.first {
                throw flag.place.error(.invalid, at: 0, "HEALTHCHECK NONE has no flags", suggestion: "remove the flag")
            }
            guard command.scalars.isEmpty else {
                throw command.error(.invalid, at: 0, "HEALTHCHECK NONE has no arguments", suggestion: "remove them")
            }
            return .healthcheck(.none)
        case "CMD":
            let flags = try flags(known)
            var timing = HealthcheckTiming(
                interval: try duration(flags["interval"]?.first), timeout: try duration(flags["timeout"]?.first),
                startPeriod: try duration(flags["start-period"]?.first),
                startInterval: try duration(flags["start-interval"]?.first))
            if let value = try value(flags["retries"]?.first) {
                let digits = value.string
                guard digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let retries = Int32(digits) else {
                    throw value.error(
                        .invalid, at: 0, "\(SourceText.quoted(digits)) is no number of retries",
                        suggestion: "write it as in --retries=3")
                }
                timing.retries = retries == 0 ? nil : Int(retries)
            }
            return .healthcheck(.command(try commandLine(command, needsArguments: true), timing))
        case "": throw missing("needs CMD or NONE", example: "HEALTHCHECK CMD curl -f http://localhost/")
        default:
            throw form.error(
                .invalid, at: 0, "\(SourceText.quoted(form.string)) is no form of HEALTHCHECK",
                suggestion: "write HEALTHCHECK CMD command, or HEALTHCHECK NONE")
        }
    }

    /// nil when not given or zero: the runtime's default.
    private func duration(_ flag: Statement.Flag?) throws(Mistake) -> Duration? {
        guard let flag, let value = try value(flag) else { return nil }
        guard let duration = DurationText.parse(value.string) else {
            throw value.error(
                .invalid, at: 0, "\(SourceText.quoted(value.string)) is no duration",
                suggestion: "write it as in --\(flag.name)=1m30s")
        }
        guard duration == .zero || duration >= .milliseconds(1) else {
            throw value.error(
                .invalid, at: 0, "--\(flag.name) is shorter than a millisecond", suggestion: "write 1ms or more")
        }
        return duration == .zero ? nil : duration
    }
}
