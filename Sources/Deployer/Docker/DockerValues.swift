/// The parts of the Engine API's documents that are used, in its own names.
enum DockerValues {
    struct CreateContainer: Encodable, Sendable {
        var image: String
        var entrypoint: [String]
        var cmd: [String]
        var env: [String]
        var hostname: String
        var labels: [String: String]
        /// Of an image's own: health is asked by HTTP, and signals are the same for all images.
        var healthcheck = Healthcheck()
        var stopSignal = "SIGTERM"
        var exposedPorts: [String: Empty]
        var hostConfig: HostConfig

        enum CodingKeys: String, CodingKey {
            case image = "Image"
            case entrypoint = "Entrypoint"
            case cmd = "Cmd"
            case env = "Env"
            case hostname = "Hostname"
            case labels = "Labels"
            case healthcheck = "Healthcheck"
            case stopSignal = "StopSignal"
            case exposedPorts = "ExposedPorts"
            case hostConfig = "HostConfig"
        }
    }

    struct Empty: Codable, Sendable {}

    /// `GET /containers/{id}/stats`: what is used, in nanoseconds since the start.
    struct Stats: Decodable, Sendable {
        struct Processors: Decodable, Sendable {
            struct Usage: Decodable, Sendable {
                var total: Double?
                enum CodingKeys: String, CodingKey { case total = "total_usage" }
            }
            var usage: Usage?
            enum CodingKeys: String, CodingKey { case usage = "cpu_usage" }
        }
        var name: String?
        var cpu: Processors?
        enum CodingKeys: String, CodingKey {
            case name
            case cpu = "cpu_stats"
        }
    }

    struct Healthcheck: Encodable, Sendable {
        var test = ["NONE"]
        enum CodingKeys: String, CodingKey { case test = "Test" }
    }

    struct HostConfig: Encodable, Sendable {
        var readonlyRootfs: Bool
        /// Options by folder.
        var tmpfs: [String: String]
        var capDrop = ["ALL"]
        var capAdd: [String]
        var securityOpt = ["no-new-privileges"]
        var restartPolicy = RestartPolicy()
        var logConfig = LogConfig()
        var memory: Int64?
        /// Memory and swap together.
        var memorySwap: Int64?
        var nanoCpus: Int64?
        var pidsLimit: Int?
        var portBindings: [String: [PortBinding]]

        enum CodingKeys: String, CodingKey {
            case readonlyRootfs = "ReadonlyRootfs"
            case tmpfs = "Tmpfs"
            case capDrop = "CapDrop"
            case capAdd = "CapAdd"
            case securityOpt = "SecurityOpt"
            case restartPolicy = "RestartPolicy"
            case logConfig = "LogConfig"
            case memory = "Memory"
            case memorySwap = "MemorySwap"
            case nanoCpus = "NanoCpus"
            case pidsLimit = "PidsLimit"
            case portBindings = "PortBindings"
        }
    }

    struct RestartPolicy: Encodable, Sendable {
        var name = "no"
        enum CodingKeys: String, CodingKey { case name = "Name" }
    }

    /// The driver whose logs can be read back, whatever the daemon's default is.
    struct LogConfig: Encodable, Sendable {
        var type = "json-file"
        var config = ["max-size": "16m"]
        enum CodingKeys: String, CodingKey {
            case type = "Type"
            case config = "Config"
        }
    }

    struct PortBinding: Codable, Sendable {
        var hostIP: String
        /// Empty: any free one.
        var hostPort: String
        enum CodingKeys: String, CodingKey {
            case hostIP = "HostIp"
            case hostPort = "HostPort"
        }
    }

    struct Created: Decodable {
        var id: String
        enum CodingKeys: String, CodingKey { case id = "Id" }
    }

    struct Container: Decodable {
        struct State: Decodable {
            var status: String
            var exitCode: Int32?
            var outOfMemory: Bool?
            enum CodingKeys: String, CodingKey {
                case status = "Status"
                case exitCode = "ExitCode"
                case outOfMemory = "OOMKilled"
            }
        }

        struct Config: Decodable {
            var labels: [String: String]?
            enum CodingKeys: String, CodingKey { case labels = "Labels" }
        }

        struct Network: Decodable {
            var address: String?
            enum CodingKeys: String, CodingKey { case address = "IPAddress" }
        }

        struct Networking: Decodable {
            var networks: [String: Network]?
            var ports: [String: [PortBinding]?]?
            enum CodingKeys: String, CodingKey {
                case networks = "Networks"
                case ports = "Ports"
            }
        }

        var id: String
        /// With a leading `/`.
        var name: String
        var state: State
        var config: Config
        var networking: Networking?

        enum CodingKeys: String, CodingKey {
            case id = "Id"
            case name = "Name"
            case state = "State"
            case config = "Config"
            case networking = "NetworkSettings"
        }
    }

    /// A program that is run in a container.
    struct CreateExec: Encodable, Sendable {
        var cmd: [String]
        var attachStdout = true
        var attachStderr = true
        enum CodingKeys: String, CodingKey {
            case cmd = "Cmd"
            case attachStdout = "AttachStdout"
            case attachStderr = "AttachStderr"
        }
    }

    struct StartExec: Encodable, Sendable {
        var detach = false
        var tty = false
        enum CodingKeys: String, CodingKey {
            case detach = "Detach"
            case tty = "Tty"
        }
    }

    struct Exec: Decodable {
        var running: Bool
        var exitCode: Int32?
        /// As the host numbers it.
        var pid: Int32?
        enum CodingKeys: String, CodingKey {
            case running = "Running"
            case exitCode = "ExitCode"
            case pid = "Pid"
        }
    }

    struct Listed: Decodable {
        var id: String
        var labels: [String: String]?
        enum CodingKeys: String, CodingKey {
            case id = "Id"
            case labels = "Labels"
        }
    }

    struct Image: Decodable {
        struct Config: Decodable {
            var entrypoint: [String]?
            var cmd: [String]?
            var env: [String]?
            enum CodingKeys: String, CodingKey {
                case entrypoint = "Entrypoint"
                case cmd = "Cmd"
                case env = "Env"
            }
        }

        var config: Config?
        enum CodingKeys: String, CodingKey { case config = "Config" }
    }

    struct Volume: Codable, Sendable {
        var name: String
        var labels: [String: String]?
        enum CodingKeys: String, CodingKey {
            case name = "Name"
            case labels = "Labels"
        }
    }

    struct Volumes: Decodable {
        var volumes: [Volume]?
        enum CodingKeys: String, CodingKey { case volumes = "Volumes" }
    }

    /// One line of a pull's progress.
    struct Progress: Decodable {
        var error: String?
    }

    struct Login: Encodable {
        var username: String
        var password: String
        var serveraddress: String
    }
}
