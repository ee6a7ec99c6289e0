import AsyncHTTPClient
import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1

/// The token flow: <https://distribution.github.io/distribution/spec/auth/token/>.
extension Transport {
    func fetchToken(_ realm: String, _ service: String?, _ request: Outgoing) async throws -> String {
        let task = "\(request.task): logging in at the token service"
        guard let url = URL(string: realm), let scheme = url.scheme, let tokenHost = url.host(),
            scheme == "https" || (scheme == "http" && (Self.isLoopback(tokenHost) || origin.hasPrefix("http://")))
        else {
            throw RegistryError(
                .invalidResponse, "\(task): refusing the address '\(realm.prefix(200))'",
                hint: "a registry with encryption must have a token service with encryption")
        }
        let outgoing: Outgoing
        var header: String?
        if case .identityToken(let secret) = authenticator.login {
            outgoing = Self.exchange(secret, realm, service, request, task)
        } else {
            var query = request.scope.resources.map { "scope=\(Self.escape($0))" }
            if let service { query.insert("service=\(Self.escape(service))", at: 0) }
            let address = realm + (realm.contains("?") ? "&" : "?") + query.joined(separator: "&")
            outgoing = Outgoing(method: .GET, url: address, scope: request.scope, task: task)
            header = Authenticator.basicHeader(authenticator.login)
        }
        let response = try await execute(outgoing, outgoing.url, header)
        guard response.status == .ok else {
            let error = await failure(response, task)
            if response.status.code >= 500 || response.status == .tooManyRequests {
                throw Interruption(error: error, retryAfter: RetryAfter.parse(response.headers.first(name: "Retry-After")))
            }
            throw error
        }
        let bytes = await Self.head(of: response, limit: 256 << 10)
        let answer = try? JSONDecoder().decode(TokenResponse.self, from: Data(bytes))
        guard let answer, let token = answer.token ?? answer.accessToken, !token.isEmpty,
            token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else {
            throw RegistryError(.invalidResponse, "\(task): no token in the answer", hint: "ask the registry's operator")
        }
        authenticator.keep(token, for: request.scope, lifetime: answer.lifetime)
        if case .identityToken(let secret) = authenticator.login, let next = answer.refreshToken, !next.isEmpty, next != secret {
            authenticator.replace(identityToken: next)
        }
        return token
    }

    /// OAuth 2: a refresh token for an access token (<https://distribution.github.io/distribution/spec/auth/oauth/>).
    private static func exchange(
        _ secret: String, _ realm: String, _ service: String?, _ request: Outgoing, _ task: String
    ) -> Outgoing {
        var fields = [
            "grant_type=refresh_token", "client_id=slipway", "refresh_token=\(escape(secret))",
            "scope=\(escape(request.scope.resources.joined(separator: " ")))",
        ]
        if let service { fields.append("service=\(escape(service))") }
        var outgoing = Outgoing(method: .POST, url: realm, scope: request.scope, task: task)
        outgoing.headers = ["Content-Type": "application/x-www-form-urlencoded"]
        outgoing.body = .bytes(Array(fields.joined(separator: "&").utf8))
        return outgoing
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host.hasSuffix(".localhost") || host == "[::1]" || host == "::1"
            || (host.hasPrefix("127.") && host.utf8.allSatisfy { $0 == 0x2e || (0x30...0x39).contains($0) })
    }

    /// Escapes everything but the unreserved characters of RFC 3986 and the `:/,` of a scope.
    static func escape(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e, 0x3a, 0x2f, 0x2c:
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                result += "%" + (hex.count == 1 ? "0" : "") + hex
            }
        }
        return result
    }
}

/// `Retry-After`: seconds or a date (RFC 9110, section 10.2.3), at most a day.
public enum RetryAfter {
    public static func parse(_ header: String?) -> Duration? { parse(header, now: Int64(time(nil))) }

    static func parse(_ header: String?, now: Int64) -> Duration? {
        guard let header else { return nil }
        if let seconds = Int64(header) { return .seconds(max(0, min(seconds, 86_400))) }
        return date(header).map { .seconds(max(0, min($0 - now, 86_400))) }
    }

    /// Seconds since 1970 of an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`.
    private static func date(_ text: String) -> Int64? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split { $0 == " " || $0 == ":" }
        guard parts.count == 8, parts[7] == "GMT", let month = months.firstIndex(of: String(parts[2])) else { return nil }
        let numbers = [parts[1], parts[3], parts[4], parts[5], parts[6]].compactMap { Int32($0) }
        guard numbers.count == 5, (1970...9999).contains(numbers[1]) else { return nil }
        var fields = tm()
        fields.tm_mday = numbers[0]
        fields.tm_mon = Int32(month)
        fields.tm_year = numbers[1] - 1900
        (fields.tm_hour, fields.tm_min, fields.tm_sec) = (numbers[2], numbers[3], numbers[4])
        return Int64(timegm(&fields))
    }
}
