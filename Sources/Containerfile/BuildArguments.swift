public import OCIModel

/// What a build is given: `--build-arg` values and the platforms.
public struct BuildArguments: Sendable, Hashable {
    public var values: [String: String]
    /// Of the result.
    public var target: Platform
    /// Of the machine that builds.
    public var build: Platform

    public init(values: [String: String] = [:], target: Platform, build: Platform) {
        self.values = values
        self.target = target
        self.build = build
    }

    /// Usable by RUN without a declaration, and then neither in the history nor in a cache key.
    public static let predefined: Set<String> = Set(
        ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"].flatMap { [$0, $0.uppercased()] })

    /// The platform arguments of the global scope, as given by `values` or by the platforms.
    public func automatic(targetStage: String) -> [String: String] {
        var automatic = ["TARGETSTAGE": targetStage]
        for (prefix, platform) in [("TARGET", target), ("BUILD", build)] {
            automatic["\(prefix)PLATFORM"] = platform.description
            automatic["\(prefix)OS"] = platform.os
            automatic["\(prefix)ARCH"] = platform.architecture
            automatic["\(prefix)VARIANT"] = platform.variant ?? ""
        }
        return automatic.merging(values.filter { automatic[$0.key] != nil }) { $1 }
    }
}

extension BuildFile {
    /// The global arguments with their values: the automatic ones, then each declaration in order, which sees those before it.
    ///
    /// - Throws: ``ContainerfileError`` with code `expansion`.
    public func globalValues(
        _ arguments: BuildArguments, targetStage: String = ""
    ) throws(ContainerfileError) -> [String: String] {
        var values = arguments.automatic(targetStage: targetStage)
        for declaration in globalArguments {
            if let given = arguments.values[declaration.name] {
                values[declaration.name] = given
            } else if let value = declaration.value {
                values[declaration.name] = try value.expanded(in: values)
            }
        }
        return values
    }

    /// The names among `values` that nothing in the file declares: misspelt, most likely.
    public func undeclared(among values: [String: String]) -> [String] {
        var declared = BuildArguments.predefined.union(globalArguments.map(\.name))
        func collect(_ instruction: Instruction) {
            switch instruction.kind {
            case .argument(let declarations): declared.formUnion(declarations.map(\.name))
            case .onBuild(let trigger): collect(trigger.instruction)
            default: break
            }
        }
        for stage in stages { stage.instructions.forEach(collect) }
        let platform = Platform(architecture: "", os: "")
        declared.formUnion(BuildArguments(target: platform, build: platform).automatic(targetStage: "").keys)
        declared.insert("SOURCE_DATE_EPOCH")
        return values.keys.filter { !declared.contains($0) }.sorted()
    }
}
