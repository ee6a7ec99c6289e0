import SystemPackage

/// A service of systemd that keeps one thing alive: systemd.service(5).
///
/// Its command ends with 0 when that thing is not wanted any more, which systemd leaves at that, and with something else when it is to
/// be called again.
struct SystemdUnit: Hashable {
    /// Of an instance or the router, without `slipway-` and `.service`.
    var subject: String
    var description: String
    /// The program and its arguments.
    var command: [String]
    /// The data directory it belongs to.
    var data: FilePath

    static let prefix = "slipway-"
    static let suffix = ".service"

    static func name(of subject: String) -> String { prefix + subject + suffix }

    /// By which a unit is known to be ours; the first line.
    static func mark(_ data: FilePath) -> String { "# Made by slipway for \(data.string.filter { $0 != "\n" }); changes are lost." }

    /// What runs in a container has a control group of its own; what watches it, and the router, stay when the command ends.
    var text: String {
        """
        \(Self.mark(data))
        [Unit]
        Description=\(description.filter { $0 != "\n" }.replacing("%", with: "%%"))
        After=network.target
        RequiresMountsFor=\(Self.quoted(data.string, expandsVariables: false))
        StartLimitIntervalSec=0

        [Service]
        ExecStart=\(command.enumerated().map { Self.quoted($1, expandsVariables: $0 > 0) }.joined(separator: " "))
        Restart=on-failure
        RestartSec=5
        KillMode=process
        TimeoutStopSec=30
        Delegate=yes

        [Install]
        WantedBy=multi-user.target

        """
    }

    /// One word for systemd: quotes and escapes as in systemd.syntax(7), `%` doubled as in systemd.unit(5), and `$` where variables are
    /// put in, which the program's own path is not a place for.
    static func quoted(_ word: String, expandsVariables: Bool) -> String {
        var escaped = ""
        var isPlain = !word.isEmpty
        for scalar in word.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "/", "-", "_", ".", ",", ":", "=", "@", "+": escaped.unicodeScalars.append(scalar)
            case "%": escaped += "%%"
            case "$" where expandsVariables: escaped += "$$"
            default:
                isPlain = false
                switch scalar {
                case "\"", "\\": escaped += "\\\(scalar)"
                case "\n": escaped += "\\n"
                default: escaped.unicodeScalars.append(scalar)
                }
            }
        }
        return isPlain ? escaped : "\"\(escaped)\""
    }
}
