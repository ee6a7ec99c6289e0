import Containerfile
import SystemPackage

/// The build context: a folder without what its ignore file leaves out.
struct BuildFolder: Sendable {
    let root: TreeRoot
    let ignore: IgnoreRules?

    func find(_ name: String) throws -> TreeRoot.Found {
        let found = try root.find(name)
        if found.status != nil, !isLeftOut(found) { return found }
        throw ContainerfileBuildError(
            .notFound, "'\(name)' is not in the build context", hint: "check the spelling, and what the ignore file leaves out")
    }

    func isLeftOut(_ found: TreeRoot.Found) -> Bool { ignore?.leavesOut(found) ?? false }

    func reader(isCancelled: @escaping () -> Bool) -> CopyTreeReader {
        CopyTreeReader(root: root, owner: (0, 0), ignore: ignore, isCancelled: isCancelled)
    }
}

extension IgnoreRules {
    /// Whether nothing of it is there; a folder that is left out is there when something in it may not be.
    func leavesOut(_ found: TreeRoot.Found) -> Bool {
        var rules = root
        for part in found.real.split(separator: "/") { rules = rules.entry(part) }
        return !found.real.isEmpty && rules.isExcluded && !(found.isFolder && rules.mayHoldExceptions)
    }
}
