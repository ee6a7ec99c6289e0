import Foundation

/// A command that did not do what it was asked for: what, how to fix, and the exit status.
struct Failure: Error {
    static let failed: Int32 = 1, usage: Int32 = 2, refused: Int32 = 3, unreachable: Int32 = 4

    var status: Int32
    var message: String
    var hint: String

    init(_ message: String, hint: String = "", status: Int32 = Failure.failed) {
        self.message = message
        self.hint = hint
        self.status = status
    }
}

func writeError(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }

/// Whether somebody looks at what is written: then there may be colours and progress.
var isTerminal: Bool { isatty(1) == 1 }

/// Prints a value for scripts: one JSON document.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Prints rows in columns; the first row is the heading.
func printTable(_ rows: [[String]]) {
    guard let columns = rows.first?.count else { return }
    let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
    for row in rows {
        let cells = row.enumerated().map { index, cell in
            index == columns - 1 ? cell : cell.padding(toLength: widths[index], withPad: " ", startingAt: 0)
        }
        print(cells.joined(separator: "  "))
    }
}

/// "5 min", for tables.
func ageText(_ seconds: Double) -> String {
    let age = Int(Date.now.timeIntervalSince1970 - seconds)
    switch age {
    case ..<60: return "\(max(0, age)) s"
    case ..<3600: return "\(age / 60) min"
    case ..<86_400: return "\(age / 3600) h"
    default: return "\(age / 86_400) d"
    }
}
