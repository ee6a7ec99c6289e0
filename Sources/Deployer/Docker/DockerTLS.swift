import NIOSSL
public import SystemPackage

/// How a daemon on another machine is known, and how it knows us: PEM files as `dockerd --tlsverify` asks for them.
public struct DockerTLS: Sendable {
    let configuration: TLSConfiguration

    /// - Throws: `.invalidValue` naming the file that cannot be used.
    public init(certificateAuthority: FilePath, certificate: FilePath, key: FilePath) throws(DeployerError) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(try Self.certificates(certificateAuthority))
        configuration.certificateChain = try Self.certificates(certificate).map { .certificate($0) }
        do {
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key.string, format: .pem))
        } catch {
            throw Self.unusable(key)
        }
        self.configuration = configuration
    }

    private static func certificates(_ file: FilePath) throws(DeployerError) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMFile(file.string)
            if !found.isEmpty { return found }
        } catch {
            throw unusable(file)
        }
        throw unusable(file)
    }

    private static func unusable(_ file: FilePath) -> DeployerError {
        DeployerError(
            .invalidValue, "the file \(file) is missing, or holds no PEM that can be used",
            hint: "name the files that 'docker --tlsverify' takes: ca.pem, cert.pem, key.pem")
    }
}
