/// The addresses of the pages, with every name percent-encoded as one path segment (RFC 3986, section 3.3).
public enum PageURL {
    public static let projects = "/"
    public static let board = "/board"
    public static func project(_ name: String) -> String { "/projects/\(segment(name))" }
    public static func runs(of project: String) -> String { "\(self.project(project))/runs" }
    public static func ledger(of project: String) -> String { "/ledger?project=\(segment(project))" }
    public static func outbox(of project: String) -> String { "/outbox?project=\(segment(project))" }
    /// `action`: `retry` or `discard`.
    public static func message(_ id: String, _ action: String) -> String { "/outbox/\(segment(id))/\(action)" }
    public static func run(_ id: String) -> String { "/runs/\(segment(id))" }
    public static func job(_ id: String) -> String { "/jobs/\(segment(id))" }
    public static func step(_ name: String, of run: String) -> String { "\(self.run(run))#\(anchor(name))" }
    public static func log(of step: String, in run: String) -> String { "\(self.run(run))/log/\(segment(step))" }
    public static func events(of step: String, in run: String) -> String {
        "\(self.run(run))/events?step=\(segment(step))"
    }
    public static func rerun(_ id: String) -> String { "\(run(id))/rerun" }
    public static func approve(_ deployment: String) -> String { "/deployments/\(segment(deployment))/approve" }
    public static func reject(_ deployment: String) -> String { "/deployments/\(segment(deployment))/reject" }
    public static func resume(_ deployment: String) -> String { "/deployments/\(segment(deployment))/resume" }
    public static func abort(_ deployment: String) -> String { "/deployments/\(segment(deployment))/abort" }
    public static func promote(to stage: String, of project: String) -> String {
        "\(self.project(project))/stages/\(segment(stage))/promote"
    }
    public static func plan(for stage: String, of project: String, pipeline: String) -> String {
        "\(self.project(project))/stages/\(segment(stage))/plan?pipeline=\(segment(pipeline))"
    }
    public static func overrideFreeze(of stage: String, _ project: String) -> String {
        "\(self.project(project))/stages/\(segment(stage))/override"
    }
    /// Where a delivered service answers: `place` is a host, or a host and a path.
    static func service(_ place: String, port: Int) -> String {
        let host = place.prefix { $0 != "/" }
        return "http://\(host):\(port)\(place.dropFirst(host.count))" + (host.count == place.count ? "/" : "")
    }
    public static func rollback(_ stage: String, of project: String) -> String {
        "\(self.project(project))/stages/\(segment(stage))/rollback"
    }

    /// The id of a step's panel on the page of its run.
    static func anchor(_ step: String) -> String { "step-\(segment(step))" }

    /// The address itself when it is one a browser may be sent to; anything else, `javascript:` above all, is nil.
    static func web(_ address: String?) -> String? {
        guard let address, address.hasPrefix("https://") || address.hasPrefix("http://") else { return nil }
        return address
    }

    static func segment(_ text: String) -> String {
        var output = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                output.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                output += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return output
    }
}
