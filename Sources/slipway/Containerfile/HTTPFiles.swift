import AsyncHTTPClient
import ContainerfileBuild
import Foundation
import NIOCore
import NIOHTTP1
import RegistryClient
import SystemPackage

/// `ADD https://…`: follows up to ten redirects, streams to the file. A server reaches what those who write Containerfiles
/// do not: unless told otherwise it fetches from public addresses only.
struct HTTPFiles: RemoteFiles {
    let connections: RegistryConnections
    let allowsPrivate: Bool

    func fetch(_ url: String, to file: FilePath, limit: Int64) async throws -> Int64? {
        var current = url
        for _ in 0...10 {
            var request = HTTPClientRequest(url: current)
            request.headers.add(name: "user-agent", value: "slipway")
            let response = try await execute(request, url)
            if (300..<400).contains(response.status.code), let location = response.headers.first(name: "location") {
                guard let next = URL(string: location, relativeTo: URL(string: current))?.absoluteString else { break }
                guard !(current.hasPrefix("https:") && next.hasPrefix("http:")) else {
                    throw Failure("\(url) leads from https to http", hint: "use the address it leads to, if you trust it")
                }
                current = next
                continue
            }
            guard response.status == .ok else {
                throw Failure("\(url) answered \(response.status.code)", hint: "check the address")
            }
            try await write(response.body, to: file, limit: limit, url)
            return response.headers.first(name: "last-modified").flatMap(Self.time)
        }
        throw Failure("\(url) leads nowhere", hint: "it redirects more than ten times, or to no address")
    }

    private func execute(_ request: HTTPClientRequest, _ url: String) async throws -> HTTPClientResponse {
        do {
            return try await connections.execute(
                request, allowsPrivate: allowsPrivate, timeout: .seconds(3600), task: "fetching \(url)")
        } catch let error as RegistryError where error.code == .addressRefused {
            throw Failure(
                "\(url) leads to an address inside the server's own network",
                hint: "let a step fetch it, or set build.private_addresses in slipway.yaml if everybody who pushes may reach it")
        }
    }

    private func write(_ body: HTTPClientResponse.Body, to file: FilePath, limit: Int64, _ url: String) async throws {
        let output = try FileDescriptor.open(
            file, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite)
        defer { try? output.close() }
        var total: Int64 = 0
        for try await piece in body {
            total += Int64(piece.readableBytes)
            guard total <= limit else { throw Failure("\(url) is larger than \(limit) bytes") }
            try piece.readableBytesView.withUnsafeBytes { _ = try output.writeAll($0) }
        }
    }

    /// RFC 9110, IMF-fixdate.
    private static func time(_ text: String) -> Int64? {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return formatter.date(from: text).map { Int64($0.timeIntervalSince1970) }
    }
}
