/// A step of a run with its log.
public struct StepPanel: Sendable {
    public var name: String
    public let anchor: String
    public var badge: StateBadge
    public var image: String
    public var duration: String
    /// "exit code 2", "out of memory", …
    public var outcome: String?
    public var isOpen: Bool
    public var log: LogPanel

    public init(
        name: String, badge: StateBadge, image: String, duration: String, outcome: String? = nil, isOpen: Bool,
        log: LogPanel
    ) {
        self.name = name
        anchor = PageURL.anchor(name)
        self.badge = badge
        self.image = image
        self.duration = duration
        self.outcome = outcome
        self.isOpen = isOpen
        self.log = log
    }
}

/// `/runs/<id>/log/<step>`: one log on a page of its own.
public struct StepLogPage: Page {
    public static let template = "log"
    public var shell: Shell
    public var name: String
    public var badge: StateBadge
    public let runURL: String
    public var log: LogPanel

    public init(shell: Shell, run: String, step: String, badge: StateBadge, log: LogPanel) {
        self.shell = shell
        name = step
        self.badge = badge
        runURL = PageURL.run(run)
        self.log = log
    }
}

/// A log as far as it is known, and where the rest will come from.
public struct LogPanel: Sendable {
    /// One line, as the log reader gives it.
    public struct Line: Sendable {
        /// The offset after this line; the `id` of its event.
        public var offset: Int64
        /// Anything; `HH:MM:SS` when it is RFC 3339.
        public var time: String
        public var isError: Bool
        public var text: String

        public init(offset: Int64, time: String, isError: Bool, text: String) {
            self.offset = offset
            self.time = time
            self.isError = isError
            self.text = text
        }
    }

    /// The stream to follow, nil when the log is complete.
    public let eventsURL: String?
    public let pageURL: String
    /// Where the stream goes on after the lines of this page.
    public let offset: Int64
    /// "The last 500 of 12,345 lines."
    public var note: String?
    public let isEmpty: Bool
    /// Why there is no line, when that is known.
    public let absence: String?
    /// Safe markup: one `<li>` per line.
    let markup: String

    /// - Parameter offset: where the lines end in the log; the offset of the last line when nil.
    public init(run: String, step: String, lines: [Line], offset: Int64? = nil, isLive: Bool, note: String? = nil, absence: String? = nil) {
        let end = offset ?? lines.last?.offset ?? 0
        self.offset = end
        eventsURL = isLive ? "\(PageURL.events(of: step, in: run))&after=\(end)" : nil
        pageURL = PageURL.log(of: step, in: run)
        self.note = note
        isEmpty = lines.isEmpty
        self.absence = absence.map { $0.prefix(1).uppercased() + $0.dropFirst() + "." }
        markup = lines.map(Self.markup(of:)).joined()
    }

    /// The same line as in the page, for the event stream: `html` of the event's data is `AnsiHTML.line(text)`.
    static func markup(of line: Line) -> String {
        let stream = line.isError ? " class=\"err\"" : ""
        return "<li\(stream)><time>\(HTMLText.escape(clock(line.time)))</time><code>\(AnsiHTML.line(line.text))</code></li>"
    }

    /// The time of day in an RFC 3339 moment; other text is kept as it is.
    public static func clock(_ time: String) -> String {
        let parts = time.split(separator: "T", maxSplits: 1)
        guard parts.count == 2, parts[1].utf8.count >= 8 else { return time }
        return String(parts[1].prefix(8))
    }
}
