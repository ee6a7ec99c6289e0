/// The value of `--chmod`: an octal mode, or changes as chmod(1) writes them (`u=rwX,go=rX`), applied without umask.
public struct ModeChange: Sendable, Hashable {
    private struct Clause: Sendable, Hashable {
        /// The permission bits of whom: 0o4700, 0o2070, 0o1007 or some of them.
        var who: UInt32
        var operation: Character
        /// Bits for all, 0o7777 at most.
        var bits: UInt32
        /// `X`: execute, for folders and where somebody may execute already.
        var executesFolders: Bool
        /// `u`, `g` or `o`: as these have it; the shift of theirs.
        var copiedShift: UInt32?
    }

    private let absolute: UInt32?
    private let clauses: [Clause]

    public init(parsing text: String) throws(InvalidValue) {
        let invalid = InvalidValue(
            "\(SourceText.quoted(text)) is no file mode", hint: "write it in octal as in 0755, or as in u=rwX,go=rX")
        if text.utf8.first.map({ $0 >= 0x30 && $0 <= 0x39 }) == true {
            guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x37 }), let mode = UInt32(text, radix: 8), mode <= 0o7777 else {
                throw invalid
            }
            absolute = mode
            clauses = []
            return
        }
        absolute = nil
        var clauses: [Clause] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            var rest = part[...]
            var who: UInt32 = 0
            while let letter = rest.first, let bits = Self.who(letter) {
                who |= bits
                rest = rest.dropFirst()
            }
            if who == 0 { who = 0o7777 }
            guard !rest.isEmpty else { throw invalid }
            while let operation = rest.first {
                guard "+-=".contains(operation) else { throw invalid }
                rest = rest.dropFirst()
                var clause = Clause(who: who, operation: operation, bits: 0, executesFolders: false, copiedShift: nil)
                if let letter = rest.first, let shift = ["u": 6, "g": 3, "o": 0][letter] {
                    clause.copiedShift = UInt32(shift)
                    rest = rest.dropFirst()
                } else {
                    while let letter = rest.first, !"+-=".contains(letter) {
                        switch letter {
                        case "r": clause.bits |= 0o444
                        case "w": clause.bits |= 0o222
                        case "x": clause.bits |= 0o111
                        case "s": clause.bits |= 0o6000
                        case "t": clause.bits |= 0o1000
                        case "X": clause.executesFolders = true
                        default: throw invalid
                        }
                        rest = rest.dropFirst()
                    }
                }
                clauses.append(clause)
            }
        }
        self.clauses = clauses
    }

    /// The permission bits (0o7777) after the change.
    public func applied(to mode: UInt32, isDirectory: Bool) -> UInt32 {
        if let absolute { return absolute }
        var mode = mode & 0o7777
        for clause in clauses {
            var bits = clause.bits
            if clause.executesFolders, isDirectory || mode & 0o111 != 0 { bits |= 0o111 }
            if let shift = clause.copiedShift {
                let copied = mode >> shift & 0o7
                bits = copied | copied << 3 | copied << 6
            }
            bits &= clause.who
            switch clause.operation {
            case "+": mode |= bits
            case "-": mode &= ~bits
            default:
                // What is not named for a class is taken from it; the sticky bit belongs to nobody's class.
                mode = mode & ~(clause.who & (clause.who == 0o7777 ? 0o7777 : 0o6777)) | bits
            }
        }
        return mode
    }

    private static func who(_ letter: Character) -> UInt32? {
        switch letter {
        case "u": 0o5700
        case "g": 0o3070
        case "o": 0o1007
        case "a": 0o7777
        default: nil
        }
    }
}
