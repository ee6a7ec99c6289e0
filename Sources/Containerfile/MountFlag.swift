/// One `--mount` of a RUN: its options, checked as far as they can be without values for variables.
///
/// The options are comma-separated as in a CSV record: `"source=a,b"` holds a comma. Unlike in the reference builder
/// an option that its mount type does not have is an error, whatever the order.
public struct MountFlag: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case bind, cache, tmpfs, secret, ssh
    }

    struct Option: Sendable, Hashable {
        let name: String
        /// nil: the name stands alone.
        let value: Word?
        /// The option as written, for messages.
        let word: Word
    }

    let options: [Option]
    /// The flag as written, for messages.
    let word: Word

    /// The stage or image named by `from`, which is never expanded.
    public var from: String? { options.first { $0.name == "from" }?.value?.literal }

    /// The flag's value as written.
    public var source: String { word.source }

    /// The mount with its variables replaced.
    ///
    /// - Parameter environment: ENV and ARG values by name.
    /// - Throws: ``ContainerfileError``: a value that is not one, or options that contradict each other.
    public func resolved(in environment: [String: String]) throws(ContainerfileError) -> Mount {
        var values = MountOptions(flag: self)
        for option in options { try values.set(option, try option.value?.expanded(in: environment)) }
        return try values.mount()
    }

    static func options(of kind: Kind) -> [String] {
        let common = ["type", "target", "dst", "destination"]
        switch kind {
        case .bind: return common + ["from", "source", "src", "readonly", "ro", "readwrite", "rw"]
        case .cache:
            return common + [
                "id", "from", "source", "src", "readonly", "ro", "readwrite", "rw", "sharing", "mode", "uid", "gid",
            ]
        case .tmpfs: return common + ["size"]
        case .secret: return common + ["id", "source", "src", "env", "required", "mode", "uid", "gid"]
        case .ssh: return common + ["id", "required", "mode", "uid", "gid"]
        }
    }

    /// Other spellings of an option.
    static func canonical(_ name: String) -> String {
        switch name {
        case "src": "source"
        case "dst", "destination": "target"
        case "ro": "readonly"
        case "rw": "readwrite"
        default: name
        }
    }

    /// Reads the options and, where no variables are used, everything about them.
    static func parse(_ fragment: Fragment, escape: Escape) throws(Mistake) -> MountFlag {
        let known = Set(Kind.allCases.flatMap(options(of:)))
        var options: [Option] = []
        for field in try fields(of: fragment) {
            let scalars = field.scalars
            let equals = scalars.firstIndex(of: "=") ?? scalars.count
            let written = field[0..<equals].string
            let name = written.lowercased()
            guard known.contains(name) else {
                throw field.error(
                    .invalid, at: 0, "\(SourceText.quoted(written)) is no option of --mount",
                    suggestion: Suggestion.didYouMean(name, among: known.sorted()))
            }
            let value = equals < scalars.count ? field[equals + 1..<scalars.count] : nil
            let parsed: Word?
            if let value { parsed = try WordParser.parse(value, escape: escape) } else { parsed = nil }
            if name == "from", let parsed, parsed.literal == nil {
                throw field.error(
                    .unsupported, at: equals + 1, "variables are not expanded in 'from'",
                    suggestion: "name a stage here, and use the variable in that stage's FROM")
            }
            options.append(
                Option(name: canonical(name), value: parsed, word: WordParser.literal(field)))
        }
        let flag = MountFlag(options: options, word: WordParser.literal(fragment))
        if options.allSatisfy({ $0.value == nil || $0.value?.literal != nil }) {
            do { _ = try flag.resolved(in: [:]) } catch {
                throw Mistake(code: error.code, diagnostic: error.diagnostics[0])
            }
        }
        return flag
    }

    /// The fields of a CSV record (RFC 4180): one in double quotes may hold commas, a doubled quote is one.
    private static func fields(of fragment: Fragment) throws(Mistake) -> [Fragment] {
        let scalars = fragment.scalars
        var fields: [Fragment] = []
        var index = 0
        while true {
            var field = Fragment(text: fragment.text)
            if index < scalars.count, scalars[index] == "\"" {
                let start = index
                index += 1
                while true {
                    guard index < scalars.count else {
                        throw fragment.error(.syntax, at: start, "the quote of this option is not closed")
                    }
                    if scalars[index] == "\"" {
                        index += 1
                        guard index < scalars.count, scalars[index] == "\"" else { break }
                    }
                    field.append(scalars[index], from: fragment, at: index)
                    index += 1
                }
                guard index == scalars.count || scalars[index] == "," else {
                    throw fragment.error(.syntax, at: index, "a comma is missing after the quoted option")
                }
            } else {
                let end = scalars[index...].firstIndex(of: ",") ?? scalars.count
                field = fragment[index..<end]
                if let quote = field.scalars.firstIndex(of: "\"") {
                    throw field.error(
                        .syntax, at: quote, "a quote stands inside this option",
                        suggestion: "quote the whole option: \"source=a,b\"")
                }
                index = end
            }
            guard !field.scalars.isEmpty else {
                throw fragment.error(.invalid, at: index, "an option of --mount is empty")
            }
            fields.append(field)
            guard index < scalars.count else { return fields }
            index += 1
        }
    }
}
