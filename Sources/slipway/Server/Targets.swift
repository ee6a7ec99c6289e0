import AsyncHTTPClient
import Deployer
import Foundation
import ImageStore
import Logging
import OCIModel
import RegistryClient
import ServiceLifecycle
import SystemPackage

/// The targets that the settings name, made of the server's parts.
struct Targets {
    /// By the names that stages use.
    let byName: [String: any Target]
    /// Those that keep something on hosts which is to be cleared away.
    let docker: [String: DockerTarget]
    /// Connections to hosts of targets; shut down with the server.
    let client: HTTPClient

    /// Where hosts that are not this machine find what is built here.
    struct Registry {
        let images: ImageStore
        /// `host:port` for daemons of this machine.
        let local: String
        /// The server's address as users know it.
        let publicURL: String
        /// Nil: everybody may pull.
        let token: String?
        let logins: DockerConfig?

        /// One that has the image, by its manifest.
        func repository(of image: Digest) async throws -> RepositoryName? {
            for repository in try await images.repositories() where try await images.manifestMediaType(image, in: repository) != nil {
                return repository
            }
            return nil
        }
    }

    /// - Parameters:
    ///   - host: what a target of the kind `host` is.
    ///   - owner: tells this data directory from others.
    ///   - place: tells this server from others of the data directory.
    /// - Throws: ``Failure`` when hosts on other machines cannot reach any registry.
    init(_ settings: TargetSettings, host: any Target, owner: String, place: Int, registry: Registry, logger: Logger) throws {
        let client = DockerTarget.makeClient()
        self.client = client
        // Names of containers and volumes are made of it.
        let short = String(Digest.sha256(Array(owner.utf8)).hex.prefix(12))
        let sockets = FilePath("/run/slipway/ssh/\(short)-\(place)")
        do {
            var (docker, all): ([String: DockerTarget], [String: any Target]) = ([:], [:])
            for (name, kind) in settings.kinds {
                switch kind {
                case .host: all[name] = host
                case .docker(let settings):
                    let target = try Self.make(
                        name, settings, owner: short, sockets: sockets.appending(name), registry: registry, client: client, logger: logger)
                    (docker[name], all[name]) = (target, target)
                }
            }
            self.docker = docker
            byName = all
        } catch {
            try client.syncShutdown()
            throw error
        }
    }

    static func make(
        _ name: String, _ docker: TargetSettings.Docker, owner: String, sockets: FilePath, registry: Registry, client: HTTPClient,
        logger: Logger
    ) throws -> DockerTarget {
        let far = docker.registry ?? farAddress(registry)
        for host in docker.hosts where !host.isLoopback && far == nil {
            throw Failure(
                "targets.\(name): \(host) cannot pull images from \(registry.local), which is an address of this machine",
                hint: "set targets.\(name).registry, or the server's own 'url'", status: Failure.usage)
        }
        return DockerTarget(
            settings: .init(hosts: docker.hosts, tls: docker.tls, owner: owner, sockets: sockets), client: client, logger: logger
        ) { digest, host in
            // One with an address of its own may be another machine behind a forwarded socket.
            let isHere = docker.registry == nil && host.isLoopback && (host.address == nil || far == nil)
            let address = isHere ? registry.local : far ?? registry.local
            guard let repository = try await registry.repository(of: digest) else {
                throw DeployerError(
                    .instanceFailed, "the image \(digest.short) is in no repository of the embedded registry",
                    hint: "was it removed? push the commit again, or roll back")
            }
            if let login = try await registry.logins?.login(at: address), case .basic(let user, let password) = login {
                return DockerImageSource(name: "\(address)/\(repository)", login: .init(user: user, password: password))
            }
            // The administrator's token stays on this machine.
            let login = isHere ? registry.token.map { DockerImageSource.Login(user: "admin", password: $0) } : nil
            return DockerImageSource(name: "\(address)/\(repository)", login: login)
        }
    }

    /// Host and port of the server's own address, when others can reach it.
    private static func farAddress(_ registry: Registry) -> String? {
        guard let url = URL(string: registry.publicURL), let host = url.host(), host != "localhost", !host.hasPrefix("127."), host != "::1",
            host != "0.0.0.0"
        else { return nil }
        return url.port.map { "\(host):\($0)" } ?? host
    }

    /// What daemons of this machine reach the server at; they speak plain HTTP with loopback only.
    static func localAddress(host: String, port: Int) -> String {
        let isReachedByLoopback = ["localhost", "0.0.0.0", "::", "[::]"].contains(host) || host.hasPrefix("127.")
        return isReachedByLoopback ? "127.0.0.1:\(port)" : "\(host):\(port)"
    }
}
