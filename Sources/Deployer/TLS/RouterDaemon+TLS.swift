import BlockingQueue
import Glibc
import SystemPackage

extension RouterDaemon {
    /// Puts the certificates of the folder in force when they are others than those before. What cannot be used leaves what is in force.
    ///
    /// - Returns: what is wrong with single certificates, for people.
    /// - Throws: when nothing could be changed: the folder cannot be read, or the address is in use.
    func renewCertificates() async throws -> [String] {
        let table = try await load()
        guard let tls = program.tls else {
            if table.tls != nil { _ = try await change { $0.securing(nil) } }
            return []
        }
        let (wanted, problems) = try await queue.run { _ in
            if table.tls?.address != tls.listenAddress || table.tls?.port != tls.listenPort { try Self.check(tls) }
            return try makeSet(tls, table.tls)
        }
        if wanted != table.tls {
            _ = try await change { $0.securing(wanted) }
            try await queue.run { _ in removeSets(except: [wanted.folder, table.tls?.folder]) }
        }
        let without = Set(table.routes.values.flatMap { $0.claims.map(\.host) }).filter { wanted.file(for: $0) == nil }.sorted()
        return problems + without.map { "\($0) has no certificate: HTTPS refuses it (put \($0).pem and \($0).key into \(tls.certificates))" }
    }

    /// Writes the usable certificates into a folder of their own.
    private func makeSet(_ tls: RouterTLS, _ old: TLSTable?) throws -> (TLSTable, [String]) {
        let (usable, problems) = try CertificateFolder(path: tls.certificates, now: time(nil)).read { name in
            guard let old, old.names.contains(name) else { return nil }
            return (try? AtomicFile.read(folder.appending(old.folder).appending(TLSTable.file(name)))) ?? nil
        }
        let table = TLSTable(
            address: tls.listenAddress, port: tls.listenPort, redirects: tls.redirect, folder: "tls/\(CertificateFolder.digest(of: usable))",
            names: Set(usable.keys))
        guard table.folder != old?.folder else { return (table, problems) }
        try makeFolders()
        let place = folder.appending(table.folder)
        guard mkdir(place.string, 0o700) == 0 || errno == EEXIST else {
            throw DeployerError(
                .stateUnusable, "\(place) cannot be made: \(Errno(rawValue: errno))", hint: "check free space and permissions of the folder")
        }
        for (name, text) in usable { try AtomicFile.write(text, to: place.appending(TLSTable.file(name))) }
        return (table, problems)
    }

    /// Those that neither the configuration in force nor the one before names.
    private func removeSets(except kept: [String?]) {
        let place = folder.appending("tls")
        for set in (try? FilePath.names(in: place)) ?? [] where !kept.contains("tls/\(set)") {
            for file in (try? FilePath.names(in: place.appending(set))) ?? [] { unlink(place.appending(set).appending(file).string) }
            rmdir(place.appending(set).string)
        }
    }

    /// A router that cannot listen would refuse every later change too.
    private static func check(_ tls: RouterTLS) throws {
        func taken(_ why: String) -> DeployerError {
            DeployerError(
                .portTaken, "the router cannot listen on \(tls.listenAddress) port \(tls.listenPort) for HTTPS: \(why)",
                hint: "stop the program that uses the port, or set another router.tls.listen")
        }
        guard RouteValidation.isAddress(tls.listenAddress), (1...65535).contains(tls.listenPort) else { throw taken("it is no IP address") }
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(tls.listenAddress, "\(tls.listenPort)", &hints, &found) == 0, let address = found else { throw taken("no such address") }
        defer { freeaddrinfo(found) }
        let descriptor = socket(address.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw taken("\(Errno(rawValue: errno))") }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0, listen(descriptor, 1) == 0 else {
            throw taken("\(Errno(rawValue: errno))")
        }
    }
}
