import SystemPackage

/// The machine's control groups: v2 ("unified"), or v1 with a hierarchy per controller.
enum Cgroups {
    static let mountPoint: FilePath = "/sys/fs/cgroup"

    static var unified: Bool { Files.exists(mountPoint.appending("cgroup.controllers")) }

    /// v1 counts swap only when the kernel was built and started for it; a limit would fail otherwise.
    static var limitsSwap: Bool { unified || Files.exists(mountPoint.appending("memory/memory.memsw.limit_in_bytes")) }

    /// How many processes of `cgroup` the kernel killed for memory; 0 when the group is gone.
    static func memoryKills(_ cgroup: String) -> Int {
        let file = unified ? "\(mountPoint)\(cgroup)/memory.events" : "\(mountPoint)/memory\(cgroup)/memory.oom_control"
        guard let text = Files.text(FilePath(file)) else { return 0 }
        for line in text.split(separator: "\n") where line.hasPrefix("oom_kill ") {
            return Int(line.dropFirst("oom_kill ".count)) ?? 0
        }
        return 0
    }

    /// The processor time that `cgroup` has used, in seconds; nil when the group is gone.
    static func processorSeconds(_ cgroup: String) -> Double? {
        guard unified else {
            return Files.text(FilePath("\(mountPoint)/cpuacct\(cgroup)/cpuacct.usage"))
                .flatMap { Double($0.prefix { $0 != "\n" }) }.map { $0 / 1e9 }
        }
        let line = Files.text(FilePath("\(mountPoint)\(cgroup)/cpu.stat"))?.split(separator: "\n").first { $0.hasPrefix("usage_usec ") }
        return line.flatMap { Double($0.dropFirst("usage_usec ".count)) }.map { $0 / 1e6 }
    }

    /// Every process below `cgroup`, by any hierarchy that knows it.
    static func processes(_ cgroup: String) -> [Int32] {
        for folder in unified ? [""] : ["/pids", "/memory", "/freezer", "/systemd"] {
            if let text = Files.text(FilePath("\(mountPoint)\(folder)\(cgroup)/cgroup.procs")) {
                return text.split(separator: "\n").compactMap { Int32($0) }
            }
        }
        return []
    }
}
