/// `config.json` of an OCI bundle (runtime-spec 1.0.2), as much of it as Slipway writes.
struct RuntimeConfig: Codable {
    var ociVersion = "1.0.2"
    var process: Process
    var root: Root
    var hostname: String?
    var mounts: [Mount]
    var linux: Linux

    struct Process: Codable {
        var terminal = false
        var user: User
        var args: [String]
        var env: [String]
        var cwd: String
        var capabilities: Capabilities
        var rlimits: [ResourceLimit]
        var noNewPrivileges = true
    }

    struct User: Codable, Equatable {
        var uid: UInt32
        var gid: UInt32
        var additionalGids: [UInt32]?
    }

    struct Capabilities: Codable {
        var bounding: [String]
        var effective: [String]
        var permitted: [String]
        var inheritable: [String]
        var ambient: [String]
    }

    struct ResourceLimit: Codable {
        var type: String
        var hard: UInt64
        var soft: UInt64
    }

    struct Root: Codable {
        var path: String
        var readonly: Bool
    }

    struct Mount: Codable {
        var destination: String
        var type: String?
        var source: String?
        var options: [String]?
    }

    struct Linux: Codable {
        var namespaces: [Namespace]
        var resources: Resources
        var cgroupsPath: String
        var maskedPaths: [String]
        var readonlyPaths: [String]
        var sysctl: [String: String]?
        var seccomp: SystemCallFilter?
    }

    struct Namespace: Codable { var type: String }

    struct Resources: Codable {
        var devices: [DeviceRule]
        var memory: Memory?
        var cpu: CPU?
        var pids: PIDs?
    }

    struct DeviceRule: Codable {
        var allow: Bool
        var access: String
    }

    struct Memory: Codable {
        var limit: Int64
        var swap: Int64?
    }

    struct CPU: Codable {
        var quota: Int64
        var period: UInt64
    }

    struct PIDs: Codable { var limit: Int64 }

    struct SystemCallFilter: Codable {
        var defaultAction: String
        var syscalls: [Rule]

        struct Rule: Codable {
            var names: [String]
            var action: String
            var errnoRet: UInt32?
        }
    }
}
