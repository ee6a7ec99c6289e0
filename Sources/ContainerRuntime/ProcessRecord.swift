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

    /// How long it has run (proc(5), field 22: since boot, as CLOCK_BOOTTIME counts); nil when the system does not say.
    var age: Duration? {
        var now = timespec()
        let ticks = sysconf(Int32(_SC_CLK_TCK))
        guard startTicks > 0, ticks > 0, clock_gettime(CLOCK_BOOTTIME, &now) == 0 else { return nil }
        let seconds = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 - Double(startTicks) / Double(ticks)
        return .seconds(max(0, seconds))
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
