import BlockingQueue

/// Follows the symbolic links of a commit through one another, before any of them exists.
///
/// Looking at `..` in the text alone is not enough: `x -> a/b/link/..` leaves the workspace when `link` leads to its root.
struct SymlinkCheck {
    private static let slash = UInt8(ascii: "/")
    /// What Linux allows (`path_resolution(7)`).
    private static let hopLimit = 40
    private var targets: [[UInt8]: [UInt8]] = [:]
    /// Steps left for all links together, so that a hostile tree cannot keep the processor busy.
    private var budget = 5_000_000

    /// Adds a link; `path` is its place below the root of the workspace.
    mutating func add(path: [UInt8], target: [UInt8]) { targets[path] = target }

    /// Throws for the first link (by path) that may lead out of the workspace.
    mutating func run(_ cancellation: Cancellation) throws {
        for path in targets.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            if cancellation.isCancelled { throw CancellationError() }
            try follow(path)
        }
    }

    private mutating func follow(_ path: [UInt8]) throws {
        guard let target = targets[path] else { return }
        var current = SymlinkCheck.parent(of: path)
        var pending = try steps(target, of: path, shownFor: path)
        var hops = 0
        while let step = pending.popLast() {
            budget -= 1
            guard budget > 0 else { throw GitError(.tooLarge, "the symbolic links of the commit take too long to follow") }
            if step.isEmpty || step == [UInt8(ascii: ".")] { continue }
            if step == Array("..".utf8) {
                guard !current.isEmpty else { throw SymlinkCheck.escape(path, target) }
                current = SymlinkCheck.parent(of: current)
                continue
            }
            let next = current.isEmpty ? step : current + [SymlinkCheck.slash] + step
            guard let further = targets[next] else {
                current = next
                continue
            }
            hops += 1
            guard hops <= SymlinkCheck.hopLimit else {
                throw GitError(
                    .refused, "the symbolic link '\(String(decoding: path, as: UTF8.self))' leads through too many others",
                    hint: "remove the link, or let it name its target directly")
            }
            pending += try steps(further, of: next, shownFor: path)
        }
    }

    /// The parts of a target, last first.
    private func steps(_ target: [UInt8], of link: [UInt8], shownFor path: [UInt8]) throws -> [[UInt8]] {
        guard target.first != SymlinkCheck.slash else { throw SymlinkCheck.escape(link, target) }
        guard !target.isEmpty, !target.contains(0) else {
            throw GitError(.refused, "the symbolic link '\(String(decoding: link, as: UTF8.self))' has no valid target", hint: "remove the link")
        }
        return target.split(separator: SymlinkCheck.slash).map(Array.init).reversed()
    }

    private static func parent(of path: [UInt8]) -> [UInt8] {
        path.lastIndex(of: slash).map { Array(path[..<$0]) } ?? []
    }

    private static func escape(_ path: [UInt8], _ target: [UInt8]) -> GitError {
        GitError(
            .refused,
            "the symbolic link '\(String(decoding: path, as: UTF8.self))' -> '\(String(decoding: target.prefix(200), as: UTF8.self))' leads out of the workspace",
            hint: "let the link name a path inside the repository, relative to the link")
    }
}
