import BlockingQueue
public import DeliveryModel
import Glibc
import SystemPackage

extension NginxRouter {
    public func trafficMark() async throws -> TrafficMark {
        try await queue.run { _ in try makeFolders() }
        return try await counts.mark()
    }

    public func traffic(key: String, since mark: TrafficMark) async throws -> [VersionTraffic] {
        try await queue.run { _ in try makeFolders() }
        return try await counts.count(key: key, since: mark) { try RouteTable.load(routesFile) }
    }

    public func rotateLogs() async throws {
        try await queue.run { _ in try makeFolders() }
        let renamed = try await queue.run { _ in
            ["access.log", "error.log"].filter { name in
                let path = folder.appending(name).string
                var status = stat()
                return stat(path, &status) == 0 && status.st_size > settings.logLimit && rename(path, path + ".1") == 0
            }
        }
        let isPutAside = try await counts.rotate(limit: settings.logLimit)
        if isPutAside || !renamed.isEmpty, let master = process.master() { try process.reopenLogs(master) }
    }
}
