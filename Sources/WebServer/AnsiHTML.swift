/// Turns one line of a log, as a program wrote it, into markup that is safe to put on a page.
///
/// Everything is escaped; SGR colour codes (ECMA-48, section 8.3.117) become `<span class>`; every other
/// escape sequence and control character is dropped. Lines are independent of each other, so a line looks the same
/// whether it came with the page or later through the event stream. Time and size are bounded by `limit`.
public enum AnsiHTML {
    /// Style changes after this many in one line are ignored: a line cannot blow up the page.
    static let styleLimit = 256

    /// - Parameters:
    ///   - text: one line, with or without its line ending.
    ///   - limit: how many scalars of it are looked at; the rest is replaced by a note.
    public static func line(_ text: String, limit: Int = 16_384) -> String {
        let scalars = text.unicodeScalars.prefix(limit)
        let isCut = scalars.endIndex < text.unicodeScalars.endIndex
        var parser = Parser(scalars: overwritten(scalars))
        var markup = parser.render()
        if isCut { markup += "<span class=\"cut\"> … line cut after \(limit) characters</span>" }
        return markup
    }

    /// A terminal shows what was written after the last carriage return; progress bars rely on it.
    private static func overwritten(_ scalars: Substring.UnicodeScalarView) -> [Unicode.Scalar] {
        var kept: [Unicode.Scalar] = []
        kept.reserveCapacity(scalars.count)
        var pendingReturn = false
        for scalar in scalars {
            if scalar == "\n" { continue }
            if scalar == "\r" {
                pendingReturn = true
                continue
            }
            if pendingReturn {
                kept.removeAll(keepingCapacity: true)
                pendingReturn = false
            }
            kept.append(scalar)
        }
        return kept
    }
}

extension AnsiHTML {
    private struct Parser {
        let scalars: [Unicode.Scalar]
        var position = 0
        var style = AnsiStyle()
        var isOpen = false
        var styleChanges = 0
        var output = ""

        init(scalars: [Unicode.Scalar]) {
            self.scalars = scalars
            output.reserveCapacity(scalars.count + 32)
        }

        mutating func render() -> String {
            while position < scalars.count {
                let scalar = scalars[position]
                position += 1
                switch scalar.value {
                case 0x1B: escapeSequence()
                case 0x9B: controlSequence()
                case 0x09: output.unicodeScalars.append(scalar)
                case 0...0x1F, 0x7F...0x9F: break
                default: HTMLText.append(scalar, to: &output)
                }
            }
            close()
            return output
        }

        private mutating func escapeSequence() {
            guard position < scalars.count else { return }
            let kind = scalars[position]
            position += 1
            switch kind {
            case "[": controlSequence()
            case "]", "P", "X", "^", "_": skipString()
            case "(", ")", "*", "+", "#", "%", " ": position += position < scalars.count ? 1 : 0
            default: break
            }
        }

        /// Operating system commands and their kin: up to BEL or ESC \, or the end of the line.
        private mutating func skipString() {
            while position < scalars.count {
                let scalar = scalars[position]
                position += 1
                if scalar.value == 0x07 || scalar.value == 0x9C { return }
                if scalar.value == 0x1B {
                    if position < scalars.count, scalars[position] == "\\" { position += 1 }
                    return
                }
            }
        }

        private mutating func controlSequence() {
            var parameters: [Int] = [0]
            var isPrivate = false
            while position < scalars.count {
                let scalar = scalars[position]
                position += 1
                switch scalar.value {
                case 0x30...0x39:
                    let last = parameters.count - 1
                    parameters[last] = min(parameters[last] * 10 + Int(scalar.value - 0x30), 9_999)
                case 0x3A, 0x3B: if parameters.count < 32 { parameters.append(0) }
                case 0x3C...0x3F: isPrivate = true
                case 0x20...0x2F: isPrivate = true
                case 0x40...0x7E:
                    if scalar == "m", !isPrivate { apply(parameters) }
                    return
                default:
                    // Not a control sequence after all: show what follows.
                    position -= 1
                    return
                }
            }
        }

        private mutating func apply(_ parameters: [Int]) {
            guard styleChanges < AnsiHTML.styleLimit else { return }
            var changed = style
            changed.apply(parameters)
            guard changed != style else { return }
            styleChanges += 1
            close()
            style = changed
            let classes = style.classes
            guard !classes.isEmpty else { return }
            output += "<span class=\"\(classes)\">"
            isOpen = true
        }

        private mutating func close() {
            if isOpen { output += "</span>" }
            isOpen = false
        }
    }
}
