internal import Mustache
public import WebAssets

/// Something that can be shown in the browser: a plain value that holds formatted text, and the template for it.
public protocol Page: Sendable {
    /// The name of the file in `web/templates`, without `.mustache`.
    static var template: String { get }
    var shell: Shell { get }
}

/// Renders pages from the templates that are part of the binary. Made once; safe to use from anywhere.
public struct PageRenderer: Sendable {
    private let library: MustacheLibrary

    /// - Throws: `PageError` when a template cannot be parsed, which a test rules out for the ones we ship.
    public init(templates: [String: String] = WebAssets.templates) throws(PageError) {
        // The only global of the template library we touch: its table of escapings, guarded by its own lock.
        MustacheContentTypes.register(EscapedHTML(), named: EscapedHTML.name)
        let version = Self.version(of: WebAssets.files)
        var library = MustacheLibrary()
        for (name, text) in templates {
            let source = text.replacing("@version@", with: version).trimmingSuffix { $0.isNewline }
            do {
                try library.register("{{% CONTENT_TYPE:\(EscapedHTML.name)}}\n\(source)", named: name)
            } catch {
                throw PageError(
                    code: .templateInvalid, message: "the template \(name) cannot be parsed: \(error)",
                    hint: "check the tags in web/templates/\(name).mustache")
            }
        }
        self.library = library
    }

    /// The whole HTML document, UTF-8 text.
    public func render(_ page: some Page) -> String {
        library.render(page, withTemplate: type(of: page).template) ?? ""
    }

    /// Part of the address of every asset, so that a browser may keep assets for ever: FNV-1a over all bytes.
    static func version(of files: [String: (contentType: String, bytes: [UInt8])]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for name in files.keys.sorted() {
            for byte in files[name]?.bytes ?? [] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return String(hash, radix: 36)
    }
}

/// A fault in the pages themselves.
public struct PageError: Error, CustomStringConvertible {
    public enum Code: Sendable { case templateInvalid }
    public let code: Code
    public let message: String
    public let hint: String
    public var description: String { "\(message); \(hint)" }
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
        var end = endIndex
        while end > startIndex, predicate(self[index(before: end)]) { end = index(before: end) }
        return self[..<end]
    }
}
