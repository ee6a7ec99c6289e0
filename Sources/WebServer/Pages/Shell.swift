/// What surrounds every page.
public struct Shell: Sendable {
    /// Shown in the browser's tab.
    public var title: String
    /// The way from the list of projects to here; the last one is the page itself.
    public var crumbs: [Crumb]
    /// Who is signed in; nil hides everything that needs it.
    public var user: String?
    /// Goes into every form as the field `csrf`.
    public var csrf: String
    /// The outcome of what the user just did.
    public var notice: Notice?
    /// Set while something on the page is under way: the page brings itself up to date this often.
    public var refreshSeconds: Int?

    public init(
        title: String, crumbs: [Crumb] = [], user: String?, csrf: String, notice: Notice? = nil,
        refreshSeconds: Int? = nil
    ) {
        self.title = title
        self.crumbs = crumbs
        self.user = user
        self.csrf = csrf
        self.notice = notice
        self.refreshSeconds = refreshSeconds
    }
}

/// One part of the way to a page.
public struct Crumb: Sendable {
    public var label: String
    /// nil for the page itself.
    public var url: String?

    public init(_ label: String, url: String? = nil) {
        self.label = label
        self.url = url
    }
}

/// A line at the top of a page that tells how an action went.
public struct Notice: Sendable {
    public var badge: StateBadge
    public var message: String
    public var hint: String?

    public init(_ badge: StateBadge, message: String, hint: String? = nil) {
        self.badge = badge
        self.message = message
        self.hint = hint
    }
}

/// A moment as people say it, and as machines do.
public struct TimeText: Sendable {
    /// "3 min ago"
    public var text: String
    /// RFC 3339, for `<time datetime>` and the tooltip.
    public var machine: String

    public init(_ text: String, machine: String) {
        self.text = text
        self.machine = machine
    }
}

/// A digest as shown: twelve digits, all of them on the clipboard.
public struct DigestText: Sendable {
    public var full: String
    public var short: String

    public init(_ full: String) {
        self.full = full
        let parts = full.split(separator: ":", maxSplits: 1)
        short = parts.count == 2 ? "\(parts[0]):\(parts[1].prefix(12))" : String(full.prefix(12))
    }
}
