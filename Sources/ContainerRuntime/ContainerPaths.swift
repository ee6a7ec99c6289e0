import SystemPackage

/// Where everything of one container is. `folder` says what is to survive a restart; what lies below `state` is lost
/// with the machine, as the container is.
struct ContainerPaths {
    let id: String
    /// The bundle. A container exists while this folder does.
    let folder: FilePath
    let state: FilePath

    /// ``Intent``, written first.
    var intent: FilePath { folder.appending("intent.json") }
    /// ``ProcessRecord``, written when the container is about to run.
    var record: FilePath { folder.appending("process.json") }
    /// For the runtime while it creates; removed then, for its environment may hold secrets.
    var config: FilePath { folder.appending("config.json") }
    var log: FilePath { folder.appending("log") }
    var rootFolder: FilePath { folder.appending("rootfs") }
    var upper: FilePath { folder.appending("upper") }
    var work: FilePath { folder.appending("work") }
    /// Short names for the layers: the options of mount(2) end at one page.
    var layers: FilePath { folder.appending("l") }
    /// A layer with nothing but mount points, see ``MountPoints``.
    var mountPoints: FilePath { folder.appending("mount-points") }
    /// A file system in memory for ``ContainerSpec/memoryFiles``.
    var memory: FilePath { folder.appending("memory") }
    var exitFolder: FilePath { folder.appending("exit") }
    var exitFile: FilePath { exitFolder.appending(id) }
    /// conmon makes `oom` in here when the kernel killed for memory.
    var persist: FilePath { folder.appending("persist") }
    var oom: FilePath { persist.appending("oom") }
    var pidFile: FilePath { folder.appending("pid") }
    var conmonPIDFile: FilePath { folder.appending("conmon.pid") }
    var conmonLog: FilePath { folder.appending("conmon.log") }
    var network: FilePath { folder.appending("network.json") }
    var hosts: FilePath { folder.appending("hosts") }
    var resolvConf: FilePath { folder.appending("resolv.conf") }
    var hostname: FilePath { folder.appending("hostname") }

    var runtimeRoot: FilePath { state.appending("runc") }
    var sockets: FilePath { state.appending("s") }
    /// How its first process is started, for programs that are to run beside it: environment included, so in memory.
    var program: FilePath { state.appending("programs").appending(id) }
    var lock: FilePath { state.appending("locks").appending(id) }
    /// The container's first process waits at this pipe until someone opens it: runc's protocol between create and start.
    var startPipe: FilePath { runtimeRoot.appending(id).appending("exec.fifo") }
}

/// What must be known of a container that never came to run. Its environment is not: that may hold secrets.
struct Intent: Codable {
    var labels: [String: String]
    var arguments: [String]
}
