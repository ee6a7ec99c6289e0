/// Takes the values of secrets out of what commands print.
struct SecretMask: Sendable {
    private let values: [String]

    /// Values of fewer than four bytes are left: they are found everywhere.
    init(_ secrets: some Sequence<[UInt8]>) {
        values = Set(
            secrets.flatMap { String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init) }
                .filter { $0.utf8.count >= 4 }
        ).sorted { $0.utf8.count > $1.utf8.count }
    }

    func masked(_ line: String) -> String {
        var line = line
        for value in values where line.contains(value) { line = line.replacing(value, with: "***") }
        return line
    }
}
