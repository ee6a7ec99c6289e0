/// How text looks after a Select Graphic Rendition sequence: colours as indices 0…15 of the classic palette.
struct AnsiStyle: Equatable {
    var foreground: Int?
    var background: Int?
    var isBold = false
    var isDim = false
    var isItalic = false
    var isUnderlined = false
    var isInverse = false

    mutating func apply(_ parameters: [Int]) {
        var index = 0
        while index < parameters.count {
            let code = parameters[index]
            index += 1
            switch code {
            case 0: self = AnsiStyle()
            case 1: isBold = true
            case 2: isDim = true
            case 3: isItalic = true
            case 4: isUnderlined = true
            case 7: isInverse = true
            case 22: (isBold, isDim) = (false, false)
            case 23: isItalic = false
            case 24: isUnderlined = false
            case 27: isInverse = false
            case 30...37: foreground = code - 30
            case 38: if let colour = Self.extended(parameters, &index) { foreground = colour }
            case 39: foreground = nil
            case 40...47: background = code - 40
            case 48: if let colour = Self.extended(parameters, &index) { background = colour }
            case 49: background = nil
            case 90...97: foreground = code - 90 + 8
            case 100...107: background = code - 100 + 8
            default: break
            }
        }
    }

    /// The class names of `app.css`, from a closed set.
    var classes: String {
        var names: [String] = []
        if let foreground { names.append("f\(foreground)") }
        if let background { names.append("b\(background)") }
        if isBold { names.append("bold") }
        if isDim { names.append("dim") }
        if isItalic { names.append("ital") }
        if isUnderlined { names.append("under") }
        if isInverse { names.append("inv") }
        return names.joined(separator: " ")
    }

    /// `38;5;n` and `38;2;r;g;b`, brought down to the nearest of the sixteen colours the style sheet has in both themes.
    private static func extended(_ parameters: [Int], _ index: inout Int) -> Int? {
        guard index < parameters.count else { return nil }
        let kind = parameters[index]
        index += 1
        switch kind {
        case 5:
            guard index < parameters.count else { return nil }
            let value = parameters[index]
            index += 1
            return indexed(value)
        case 2:
            guard index + 2 < parameters.count else {
                index = parameters.count
                return nil
            }
            defer { index += 3 }
            return nearest(parameters[index], parameters[index + 1], parameters[index + 2])
        default: return nil
        }
    }

    private static func indexed(_ value: Int) -> Int? {
        switch value {
        case 0...15: return value
        case 16...231:
            let cube = value - 16
            return nearest(cube / 36 * 51, cube / 6 % 6 * 51, cube % 6 * 51)
        case 232...255:
            let grey = (value - 232) * 10 + 8
            return nearest(grey, grey, grey)
        default: return nil
        }
    }

    private static func nearest(_ red: Int, _ green: Int, _ blue: Int) -> Int {
        let parts = [red, green, blue].map { min(max($0, 0), 255) }
        let high = parts.max() ?? 0
        let low = parts.min() ?? 0
        if high - low < 40 { return high < 64 ? 0 : high < 140 ? 8 : high < 220 ? 7 : 15 }
        let middle = (high + low) / 2
        let bits = (parts[0] > middle ? 1 : 0) | (parts[1] > middle ? 2 : 0) | (parts[2] > middle ? 4 : 0)
        return high > 200 && low > 60 ? bits + 8 : bits
    }
}
