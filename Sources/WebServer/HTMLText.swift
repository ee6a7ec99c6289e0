internal import Mustache

/// Escaping of text for HTML, scalar by scalar.
///
/// Scalars, not characters: `"` followed by a combining accent is one Swift `Character` that equals no quote,
/// but a browser still sees the quote. Bidirectional overrides, which can make a line read as something it is not,
/// are made visible.
enum HTMLText {
    static func escape(_ text: String) -> String {
        var output = ""
        output.reserveCapacity(text.utf8.count + 16)
        for scalar in text.unicodeScalars { append(scalar, to: &output) }
        return output
    }

    static func append(_ scalar: Unicode.Scalar, to output: inout String) {
        switch scalar {
        case "<": output += "&lt;"
        case ">": output += "&gt;"
        case "&": output += "&amp;"
        case "\"": output += "&quot;"
        case "'": output += "&#39;"
        case "\0", "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}": output += "\u{FFFD}"
        default: output.unicodeScalars.append(scalar)
        }
    }
}

/// The escaping that every template uses in place of the one built into the template library.
struct EscapedHTML: MustacheContentType {
    static let name = "ESCAPED_HTML"

    func escapeText(_ text: String) -> String { HTMLText.escape(text) }
}
