import Glibc
import SystemPackage

extension RuntimeConfig {
    /// - Parameter unified: the machine has cgroup v2 only.
    init(_ spec: ContainerSpec, paths: ContainerPaths, user: User, cgroup: String, unified: Bool, swapLimits: Bool) {
        let environment =
            spec.environment.contains { $0.hasPrefix("PATH=") }
            ? spec.environment
            : spec.environment + ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        process = Process(
            user: user, args: spec.arguments, env: environment,
            cwd: spec.workingDirectory.isEmpty ? "/" : spec.workingDirectory,
            capabilities: Capabilities(spec.capabilities, root: user.uid == 0),
            rlimits: [
                .openFiles,
                ResourceLimit(type: "RLIMIT_CORE", hard: 0, soft: 0),
            ], noNewPrivileges: !spec.allowsNewPrivileges)
        root = Root(path: paths.rootFolder.string, readonly: spec.readOnlyRoot)
        hostname = spec.usableHostname
        mounts = Self.mounts(spec, paths)
        var namespaces = ["pid", "ipc", "uts", "mount"].map(Namespace.init(type:))
        if spec.network != .host { namespaces.append(Namespace(type: "network")) }
        if unified { namespaces.append(Namespace(type: "cgroup")) }
        linux = Linux(
            namespaces: namespaces, resources: Resources(spec.limits, swap: swapLimits), cgroupsPath: cgroup,
            maskedPaths: Self.maskedPaths, readonlyPaths: Self.readOnlyPaths,
            // A service that does not run as root may listen on port 80; there is nobody else in its network.
            sysctl: spec.network == .host ? nil : ["net.ipv4.ip_unprivileged_port_start": "0"],
            seccomp: .standard)
    }

    static func mounts(_ spec: ContainerSpec, _ paths: ContainerPaths) -> [Mount] {
        let memory = ["nosuid", "nodev", "mode=1777"]
        var mounts = [
            Mount(destination: "/proc", type: "proc", source: "proc"),
            Mount(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            Mount(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            Mount(
                destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            Mount(
                destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
        ]
        if spec.readOnlyRoot {
            mounts.append(Mount(destination: "/tmp", type: "tmpfs", source: "tmpfs", options: memory + ["size=262144k"]))
            mounts.append(Mount(destination: "/run", type: "tmpfs", source: "tmpfs", options: memory + ["size=65536k"]))
        }
        for (destination, file) in [
            ("/etc/hosts", paths.hosts), ("/etc/resolv.conf", paths.resolvConf), ("/etc/hostname", paths.hostname),
        ] {
            mounts.append(.bind(file.string, to: destination, readOnly: spec.readOnlyRoot))
        }
        var given = spec.memoryMounts.map { mount in
            let size = mount.sizeBytes.map { ["size=\($0)"] } ?? []
            return Mount(
                destination: mount.destination, type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"] + size)
        }
        given += spec.mounts.map { .bind($0.source, to: $0.destination, readOnly: $0.readOnly) }
        for (index, file) in spec.memoryFiles.enumerated() {
            given.append(.bind(paths.memory.appending("\(index)").string, to: file.destination, readOnly: true))
        }
        // What lies in another mount comes after it.
        func depth(_ mount: Mount) -> Int { mount.destination.split(separator: "/").count }
        mounts += given.enumerated().sorted { (depth($0.element), $0.offset) < (depth($1.element), $1.offset) }.map(\.element)
        return mounts
    }

    static let maskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
    ]
    static let readOnlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
}

extension RuntimeConfig.ResourceLimit {
    /// 65536, or what this process may have: not everyone who is root may raise its own limit.
    static var openFiles: Self {
        var own = rlimit()
        let known = getrlimit(__rlimit_resource_t(7 /* RLIMIT_NOFILE */), &own) == 0
        let limit = known ? min(65536, UInt64(own.rlim_max)) : 1024
        return Self(type: "RLIMIT_NOFILE", hard: limit, soft: limit)
    }
}

extension RuntimeConfig.Mount {
    static func bind(_ source: String, to destination: String, readOnly: Bool) -> Self {
        Self(
            destination: destination, type: "bind", source: source,
            options: ["rbind", "rprivate"] + (readOnly ? ["ro"] : []))
    }
}

extension RuntimeConfig.Capabilities {
    init(_ names: [String], root: Bool) {
        let all = names.map { $0.uppercased() }.map { $0.hasPrefix("CAP_") ? $0 : "CAP_" + $0 }
        bounding = all
        effective = all
        permitted = all
        // Only what is ambient reaches a program of another user than root; nothing that breaks the user's borders does.
        ambient = root ? [] : all.filter { $0 == "CAP_NET_BIND_SERVICE" }
        inheritable = ambient
    }
}

extension RuntimeConfig.Resources {
    init(_ limits: ContainerSpec.Limits, swap: Bool) {
        devices = [RuntimeConfig.DeviceRule(allow: false, access: "rwm")]
        memory = limits.memoryBytes.map { RuntimeConfig.Memory(limit: $0, swap: swap ? $0 : nil) }
        cpu = limits.cpus.map { RuntimeConfig.CPU(quota: max(1000, Int64($0 * 100_000)), period: 100_000) }
        pids = limits.pids.map { RuntimeConfig.PIDs(limit: Int64($0)) }
    }
}

extension RuntimeConfig.SystemCallFilter {
    /// Refuses what no step or service needs and what kernel exploits like to begin with; the rest is the capabilities' work.
    static let standard = Self(
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [
            Rule(
                names: [
                    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module",
                    "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "init_module",
                    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kexec_file_load",
                    "kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr", "move_mount", "nfsservctl",
                    "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "query_module", "quotactl",
                    "reboot", "request_key", "setns", "settimeofday", "swapoff", "swapon", "umount2", "unshare",
                    "userfaultfd", "uselib", "vhangup",
                ],
                action: "SCMP_ACT_ERRNO", errnoRet: 1)
        ])
}
