import BlockingQueue
public import ContainerRuntime

extension NginxRouter {
    /// For `slipway doctor`: is nginx there, and does ours serve.
    public func check() async -> DoctorFinding {
        do {
            try await queue.run { _ in try makeFolders() }
            let version = try await process.version()
            guard let master = process.master() else {
                return DoctorFinding(
                    name: "router", ok: true, message: "\(version), starts with the first deployment")
            }
            let generation = try await currentGeneration()
            try await confirm(generation)
            return DoctorFinding(
                name: "router", ok: true,
                message: "\(version), process \(master), \(settings.listenAddress):\(settings.listenPort), \(generation)")
        } catch let error as DeployerError {
            return DoctorFinding(name: "router", ok: false, message: error.message, hint: error.hint)
        } catch {
            return DoctorFinding(
                name: "router", ok: false, message: "\(error)", hint: "install the Debian package nginx-light")
        }
    }
}
