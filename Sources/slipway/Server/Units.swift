import Deployer
import Foundation
import StateStore
import SystemPackage

extension ServerSettings {
    /// Units call this program by the path it was started from.
    var systemd: SystemdSettings {
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/usr/local/bin/slipway"
        // Another version may have been put in its place since.
        let suffix = " (deleted)"
        return SystemdSettings(program: FilePath(program.hasSuffix(suffix) ? String(program.dropLast(suffix.count)) : program), data: data)
    }

    /// Nil: there is none that could be kept alive.
    fileprivate var keptRouter: KeptRouter? {
        guard routerKind != .none else { return nil }
        return KeptRouter(kind: routerKind.rawValue, folder: data.appending("router"), settings: routerSettings)
    }
}

extension Server {
    /// Hands over to systemd what it is to keep alive, or takes it back where the settings say so no more.
    func prepareUnits(_ settings: ServerSettings) async throws {
        guard settings.roles.contains(.worker) else { return }
        do {
            if settings.targets.units {
                try await units.begin(router: settings.keptRouter)
            } else {
                try await units.end()
            }
        } catch let error as DeployerError {
            throw Failure(error.message, hint: error.hint)
        }
    }
}

extension Sealing {
    init(_ box: SecretBox) {
        self.init(seal: { try box.seal($0, context: $1) }, open: { try box.open($0, context: $1) })
    }
}
