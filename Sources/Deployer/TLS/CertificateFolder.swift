import Glibc
import NIOSSL
import OCIModel
import SystemPackage

/// The certificates of a folder that are fit to be used, and what is wrong with the others. Blocks.
struct CertificateFolder {
    let path: FilePath
    /// Seconds since 1970.
    let now: Int

    /// - Parameter previous: what is in force for a name; it stays when what is there now cannot be used.
    /// - Returns: certificates and key by name, in one PEM text each; and for people what is wrong.
    func read(previous: (String) -> [UInt8]?) throws(DeployerError) -> (usable: [String: [UInt8]], problems: [String]) {
        var usable: [String: [UInt8]] = [:]
        var problems: [String] = []
        for name in try names() {
            do {
                usable[name] = try load(name)
            } catch {
                let old = previous(name)
                usable[name] = old
                problems.append("\(error.message); \(old == nil ? "\(name) has no HTTPS" : "the one before stays in force") (\(error.hint))")
            }
        }
        return (usable, problems)
    }

    /// What names the folder of a set of certificates.
    static func digest(of usable: [String: [UInt8]]) -> String {
        let text = usable.sorted { $0.key < $1.key }.flatMap { Array("\($0.key) \(Digest.sha256($0.value).hex)\n".utf8) }
        return String(Digest.sha256(text).hex.prefix(16))
    }

    private func names() throws(DeployerError) -> [String] {
        let files: [String]
        do { files = try FilePath.names(in: path) } catch {
            throw DeployerError(
                .invalidValue, "the folder of certificates \(path) cannot be read: \(error)",
                hint: "make it, or correct router.tls.certificates; it holds HOST.pem and HOST.key")
        }
        var names: Set<String> = []
        for file in files {
            for ending in [".pem", ".key"] where file.hasSuffix(ending) { names.insert(String(file.dropLast(ending.count))) }
        }
        return names.sorted()
    }

    private func load(_ name: String) throws(DeployerError) -> [UInt8] {
        func wrong(_ file: String, _ what: String, _ hint: String) -> DeployerError {
            DeployerError(.invalidValue, "\(path.appending(file)) \(what)", hint: hint)
        }
        func bytes(_ file: String) throws(DeployerError) -> [UInt8] {
            let found: [UInt8]?
            do { found = try AtomicFile.read(path.appending(file), limit: 1 << 20) } catch {
                throw wrong(file, "cannot be read: \(error)", "let the server read it")
            }
            guard let found else { throw wrong(file, "is missing", "\(name) needs \(name).pem and \(name).key") }
            return found
        }
        guard RouteValidation.isHostName(name.hasPrefix("*.") ? String(name.dropFirst(2)) : name) else {
            throw wrong("\(name).pem", "is not named after a host", "name it shop.example.com.pem or *.example.com.pem")
        }
        let (pem, key) = (try bytes("\(name).pem"), try bytes("\(name).key"))
        let chain: [NIOSSLCertificate]
        do { chain = try NIOSSLCertificate.fromPEMBytes(pem) } catch {
            throw wrong("\(name).pem", "holds no certificate in PEM", "write the certificate of \(name) first, then those of its issuers")
        }
        guard let leaf = chain.first else { throw wrong("\(name).pem", "is empty", "write the certificate of \(name) in PEM") }
        do {
            let secret = try NIOSSLPrivateKey(bytes: key, format: .pem)
            _ = try NIOSSLContext(
                configuration: .makeServerConfiguration(certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(secret)))
        } catch {
            throw wrong("\(name).key", "is not the key of \(name).pem", "write the private key in PEM, without a passphrase")
        }
        guard leaf._subjectAlternativeNames().contains(where: { Self.covers($0, name) }) else {
            throw wrong("\(name).pem", "is for other names than \(name)", "name the file after the host that the certificate is for")
        }
        guard leaf.notValidAfter > now else { throw wrong("\(name).pem", "has expired", "renew it") }
        return pem + [UInt8(ascii: "\n")] + key
    }

    private static func covers(_ alternative: _SubjectAlternativeName, _ name: String) -> Bool {
        guard alternative.nameType == .dnsName else { return false }
        let dns = String(decoding: Array(alternative.contents), as: UTF8.self).lowercased()
        return dns == name || dns == "*." + name.split(separator: ".", maxSplits: 1).dropFirst().joined()
    }
}

extension FilePath {
    /// What is in a folder, but for itself and the one above.
    static func names(in path: FilePath) throws -> [String] {
        guard let folder = opendir(path.string) else { throw Errno(rawValue: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
