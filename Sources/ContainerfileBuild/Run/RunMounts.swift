import ContainerRuntime

/// What a command sees besides the file tree; `environment` is added to the command's.
struct RunMounts: Sendable {
    var binds: [ContainerSpec.Mount] = []
    var memory: [ContainerSpec.MemoryMount] = []
    var files: [ContainerSpec.MemoryFile] = []
    var environment: [String] = []
}
