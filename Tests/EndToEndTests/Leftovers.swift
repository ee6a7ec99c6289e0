import Foundation

/// Processes and mounts that belong to a folder: what names it on its command line or works in it.
struct Leftovers: CustomStringConvertible {
    private(set) var processes: [(pid: Int32, name: String)] = []
    private(set) var mounts: [String] = []

    var isEmpty: Bool { processes.isEmpty && mounts.isEmpty }
    var description: String { "processes \(processes.map { "\($0.name) \($0.pid)" }), mounts \(mounts)" }

    init(_ folder: URL) {
        let prefix = "\(folder.path)/"
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(entry), pid != getpid() else { continue }
            let proc = URL(fileURLWithPath: "/proc/\(pid)")
            let words = text(proc, "cmdline")
            let working = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) ?? ""
            if words.contains(prefix) || "\(working)/".hasPrefix(prefix) {
                processes.append((pid, text(proc, "comm").trimmingCharacters(in: .newlines)))
            }
        }
        mounts = text(URL(fileURLWithPath: "/proc/self"), "mountinfo").split(separator: "\n")
            .compactMap { line in line.split(separator: " ").dropFirst(4).first.map(String.init) }
            .filter { $0.hasPrefix(prefix) }.sorted(by: >)
    }

    /// Each by its number; a container dies with its monitor's children.
    func remove() {
        for process in processes {
            let children = text(URL(fileURLWithPath: "/proc/\(process.pid)/task/\(process.pid)"), "children")
            for child in children.split(separator: " ").compactMap({ Int32($0) }) { kill(child, SIGKILL) }
            kill(process.pid, SIGKILL)
        }
        for mount in mounts { umount2(mount, Int32(MNT_DETACH)) }
    }
}
