import FoundationEssentials
import Glibc
import SystemPackage

/// A container's first process, named so that neither a reused number nor a reboot can be mistaken for it.
struct ProcessRecord: Codable {
    var pid: Int32
    /// Field 22 of `/proc/<pid>/stat`, clock ticks since boot.
    var startTicks: UInt64
    var bootID: String
    var address: String?
    var startedAt: Date

    /// Running, and not a zombie.
    var isAlive: Bool {
        Self.bootID() == bootID && Self.startTicks(of: pid) == startTicks
    }

    /// Whether the process has a file of that name open (proc(5), `/proc/<pid>/fd`). The container's first process has the pipe it
    /// waits at, until it becomes the program.
    func hasOpen(_ file: FilePath) -> Bool {
        let folder = FilePath("/proc/\(pid)/fd")
        return Files.names(in: folder).contains { Files.target(of: folder.appending($0))?.lastComponent == file.lastComponent }
    }

    /// When it began (proc(5), field 22); nil when the system did not say.
    var startedAfterBoot: Duration? {
        let ticks = sysconf(Int32(_SC_CLK_TCK))
        return startTicks > 0 && ticks > 0 ? .seconds(Double(startTicks) / Double(ticks)) : nil
    }

    /// CLOCK_BOOTTIME, which processes' beginnings are counted by.
    static func sinceBoot() -> Duration? {
        var now = timespec()
        guard clock_gettime(CLOCK_BOOTTIME, &now) == 0 else { return nil }
        return .seconds(Int64(now.tv_sec)) + .nanoseconds(Int64(now.tv_nsec))
    }

    static func bootID() -> String { Files.text("/proc/sys/kernel/random/boot_id") ?? "" }

    /// nil: no such process, or a zombie.
    static func startTicks(of pid: Int32) -> UInt64? {
        guard pid > 0, let text = Files.text(FilePath("/proc/\(pid)/stat")), let end = text.lastIndex(of: ")") else { return nil }
        // The fields behind the name begin with number 3, the state.
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }

    /// The number in a pid file.
    static func pid(in file: FilePath) -> Int32? {
        Files.text(file).flatMap { Int32($0.filter(\.isNumber)) }
    }
}
