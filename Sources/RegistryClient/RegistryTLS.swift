import NIOSSL
import SystemPackage

/// The certificates a registry's settings ask for.
enum RegistryTLS {
    /// Nil: the system's ways.
    ///
    /// - Throws: ``RegistryError`` with code `invalidSettings` naming the file.
    static func configuration(_ settings: RegistrySettings, host: String) throws -> TLSConfiguration? {
        guard settings.certificateAuthority != nil || settings.clientCertificate != nil || settings.clientKey != nil else {
            return nil
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let file = settings.certificateAuthority {
            let roots = try load(file, "certificate authority", host) { try NIOSSLCertificate.fromPEMFile($0) }
            guard !roots.isEmpty else { throw wrong(file, "certificate authority", host, "it holds no certificate") }
            configuration.trustRoots = .certificates(roots)
        }
        guard let certificate = settings.clientCertificate, let key = settings.clientKey else {
            if settings.clientCertificate == nil, settings.clientKey == nil { return configuration }
            throw RegistryError(
                .invalidSettings, "registry \(host): a client certificate needs its key, and a key its certificate",
                hint: "set client_certificate and client_key")
        }
        let chain = try load(certificate, "client certificate", host) { try NIOSSLCertificate.fromPEMFile($0) }
        guard !chain.isEmpty else { throw wrong(certificate, "client certificate", host, "it holds no certificate") }
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(
            try load(key, "client key", host) { try NIOSSLPrivateKey(file: $0, format: .pem) })
        return configuration
    }

    private static func load<T>(_ file: FilePath, _ what: String, _ host: String, _ read: (String) throws -> T) throws -> T {
        do { return try read(file.string) } catch { throw wrong(file, what, host, "it is missing or not PEM") }
    }

    private static func wrong(_ file: FilePath, _ what: String, _ host: String, _ why: String) -> RegistryError {
        RegistryError(
            .invalidSettings, "registry \(host): the \(what) \(file) cannot be used: \(why)",
            hint: "give a readable file in PEM format")
    }
}
