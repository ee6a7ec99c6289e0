import AsyncHTTPClient
import FoundationEssentials
import NIOHTTP1

extension Transport {
    /// Error bodies are read up to this size; a registry cannot fill our memory with one.
    static let errorBodyLimit = 64 << 10

    private struct ErrorBody: Decodable {
        struct Entry: Decodable {
            let code: String?
            let message: String?
        }
        let errors: [Entry]
    }

    /// Turns an answer that is not a success into an error that names the registry and the task.
    func failure(_ response: HTTPClientResponse, _ task: String) async -> RegistryError {
        let bytes = await Self.head(of: response, limit: Self.errorBodyLimit)
        let entries = (try? JSONDecoder().decode(ErrorBody.self, from: Data(bytes)))?.errors ?? []
        let said = entries.prefix(5).map { entry in
            [entry.code, entry.message].compactMap(\.self).joined(separator: ": ")
        }.joined(separator: "; ").prefix(500)
        let status = Int(response.status.code)
        let message = "\(task): \(host) answered \(status)\(said.isEmpty ? "" : ", \(said)")"
        switch status {
        case 401:
            let hint = authenticator.login.map { "the registry refused \($0); check the password or token" }
            return RegistryError(.unauthorized, message, hint: hint ?? "log in to \(host)", status: status)
        case 403:
            return RegistryError(
                .denied, message, hint: "ask for access with \(authenticator.login?.description ?? "an account")",
                status: status)
        case 404:
            return RegistryError(.notFound, message, hint: "check the name, tag and digest", status: status)
        case 413: return RegistryError(.sizeMismatch, message, hint: "the registry takes no content this large", status: status)
        case 429: return RegistryError(.rateLimited, message, hint: "wait, or log in for a higher limit", status: status)
        case 500...:
            return RegistryError(.unreachable, message, hint: "the registry is in trouble; try again later", status: status)
        default:
            return RegistryError(.rejected, message, hint: "the registry does not accept this request", status: status)
        }
    }
}
