import Crypto
import OCIModel

/// Turns store upload ids into the last component of an upload address and back. The ticket carries a MAC over
/// repository and id: an upload is only reachable through the repository that opened it.
struct UploadTickets: Sendable {
    private let key: SymmetricKey

    init(key: [UInt8]?) { self.key = key.map { SymmetricKey(data: $0) } ?? SymmetricKey(size: .bits256) }

    func issue(_ id: String, for repository: RepositoryName) -> String { "\(id).\(seal(id, repository))" }

    /// The upload's id; nil when the ticket was not issued for this repository.
    func open(_ ticket: String, for repository: RepositoryName) -> String? {
        guard let dot = ticket.lastIndex(of: ".") else { return nil }
        let id = String(ticket[..<dot])
        // MACs compare in constant time.
        let expected = HMAC<SHA256>.authenticationCode(for: Array(seal(id, repository).utf8), using: key)
        let found = HMAC<SHA256>.authenticationCode(for: Array(ticket[ticket.index(after: dot)...].utf8), using: key)
        return expected == found ? id : nil
    }

    private func seal(_ id: String, _ repository: RepositoryName) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: Array("\(repository.rawValue)\n\(id)".utf8), using: key)
        return code.prefix(16).hexadecimal
    }
}
