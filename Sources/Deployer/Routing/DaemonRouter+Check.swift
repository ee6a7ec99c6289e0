import BlockingQueue
import ContainerRuntime

extension DaemonRouter {
    func check(package: String, version: () async throws -> String) async -> DoctorFinding {
        do {
            try await daemon.prepare()
            let version = try await version()
            guard let master = daemon.program.master() else {
                return DoctorFinding(name: "router", ok: true, message: "\(version), starts with the first deployment")
            }
            let generation = try await currentGeneration()
            try await confirm(generation)
            return DoctorFinding(
                name: "router", ok: true,
                message: "\(version), process \(master), \(daemon.program.listenAddress):\(daemon.program.listenPort), \(generation)")
        } catch let error as DeployerError {
            return DoctorFinding(name: "router", ok: false, message: error.message, hint: error.hint)
        } catch {
            return DoctorFinding(name: "router", ok: false, message: "\(error)", hint: "install the Debian package \(package)")
        }
    }
}
