/// One instruction cut into its keyword, its flags and the rest.
struct Statement {
    struct Flag {
        let name: String
        /// What follows `=`, quotes and escapes taken away; nil when there is no `=`.
        let value: Fragment?
        let place: Fragment
    }

    /// As written.
    let keyword: Fragment
    /// In upper case.
    let name: String
    let flags: [Flag]
    /// Without white space at both ends.
    let rest: Fragment
    /// All of it, without white space at both ends.
    let whole: Fragment

    init(_ fragment: Fragment, escape: Escape) throws(Mistake) {
        whole = fragment.trimmed
        let scalars = whole.scalars
        let end = scalars.firstIndex(where: \.isBlank) ?? scalars.count
        keyword = whole[0..<end]
        name = keyword.string.uppercased()
        (flags, rest) = try Self.flags(of: whole[end..<scalars.count], escape: escape)
    }

    /// Reads the words that begin with `--`, up to the first other one or to `--` alone.
    private static func flags(of line: Fragment, escape: Escape) throws(Mistake) -> (flags: [Flag], rest: Fragment) {
        let scalars = line.scalars
        let escape = Unicode.Scalar(escape.rawValue)
        var flags: [Flag] = []
        var index = 0
        while true {
            while index < scalars.count, scalars[index].isBlank { index += 1 }
            guard index + 1 < scalars.count, scalars[index] == "-", scalars[index + 1] == "-" else {
                return (flags, line[index..<scalars.count].trimmed)
            }
            let start = index
            var word = Fragment(text: line.text)
            var quote: (scalar: Unicode.Scalar, offset: Int)?
            while index < scalars.count, quote != nil || !scalars[index].isBlank {
                let scalar = scalars[index]
                if scalar == escape {
                    index += 1
                    guard index < scalars.count else { break }
                    word.append(scalars[index], from: line, at: index)
                } else if scalar == quote?.scalar {
                    quote = nil
                } else if quote == nil, scalar == "'" || scalar == "\"" {
                    quote = (scalar, index)
                } else {
                    word.append(scalar, from: line, at: index)
                }
                index += 1
            }
            if let quote {
                throw line.error(.syntax, at: quote.offset, "the quote of this flag is not closed")
            }
            if word.string == "--" { return (flags, line[index..<scalars.count].trimmed) }
            let equals = word.scalars.firstIndex(of: "=")
            flags.append(
                Flag(
                    name: word[2..<(equals ?? word.scalars.count)].string,
                    value: equals.map { word[$0 + 1..<word.scalars.count] }, place: line[start..<index]))
        }
    }
}
