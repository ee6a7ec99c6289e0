/// The value of STOPSIGNAL: a signal's number, or its name with or without SIG.
public struct StopSignal: Sendable, Hashable {
    /// As written, which is what the config holds.
    public let text: String

    public init(parsing text: String) throws(InvalidValue) {
        if text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(text), (1...64).contains(number) {
            self.text = text
            return
        }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        guard Self.names.contains(name) || Self.isRealTime(name) else {
            let nearest = Suggestion.nearest(to: name, among: Self.names.sorted()).map { "did you mean 'SIG\($0)'?" }
            throw InvalidValue(
                "\(SourceText.quoted(text)) is no signal", hint: nearest ?? "write a name as in SIGTERM, or a number from 1 to 64")
        }
        self.text = text
    }

    private static let names: Set<String> = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
        "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
        "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
    ]

    /// RTMIN+1…15 and RTMAX-1…14
    private static func isRealTime(_ name: String) -> Bool {
        if name.hasPrefix("RTMIN+"), let number = Int(name.dropFirst(6)) { return (1...15).contains(number) }
        if name.hasPrefix("RTMAX-"), let number = Int(name.dropFirst(6)) { return (1...14).contains(number) }
        return false
    }
}
