/// `/login`: paste a token. Posts `token`, `next` and `csrf` to `/login`.
public struct LoginPage: Page {
    public static let template = "login"
    public var shell: Shell
    /// Why the last attempt was refused.
    public var problem: String?
    /// The path to go on to.
    public var next: String
    /// Where the server keeps the administrator's token.
    public var tokenFile: String

    public init(shell: Shell, problem: String? = nil, next: String = "/", tokenFile: String) {
        self.shell = shell
        self.problem = problem
        self.next = next
        self.tokenFile = tokenFile
    }
}

/// Any answer that is not a success, for people.
public struct ErrorPage: Page {
    public static let template = "error"
    public var shell: Shell
    public var status: Int
    public var heading: String
    public var message: String
    public var hint: String?

    public init(shell: Shell, status: Int, heading: String, message: String, hint: String? = nil) {
        self.shell = shell
        self.status = status
        self.heading = heading
        self.message = message
        self.hint = hint
    }
}
