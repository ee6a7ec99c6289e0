import FoundationEssentials
import SystemPackage

/// All routes and the generation they are, as kept in `routes.json`.
struct RouteTable: Codable, Hashable {
    var version = 1
    var generation = 0
    var routes: [String: Route] = [:]
    /// For recent generations: the worker processes they took over from.
    var replaced: [Int: [Int32]] = [:]

    static func load(_ path: FilePath) throws -> RouteTable {
        do {
            guard let bytes = try AtomicFile.read(path) else { return RouteTable() }
            return try JSONDecoder().decode(RouteTable.self, from: Data(bytes))
        } catch {
            throw DeployerError(
                .stateUnusable, "the routes in \(path) cannot be read: \(error)",
                hint: "move the file away; the next deployment of each stage writes its route again")
        }
    }

    func save(_ path: FilePath) throws {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            try AtomicFile.write(Array(try encoder.encode(self)), to: path)
        } catch {
            throw DeployerError(
                .stateUnusable, "the routes cannot be written to \(path): \(error)",
                hint: "check free space and permissions of the folder")
        }
    }

    /// The table after setting a route; itself when nothing changes.
    func setting(_ route: Route) throws(DeployerError) -> RouteTable {
        try RouteValidation.check(route)
        if routes[route.key] == route { return self }
        if let other = routes.values.first(where: { $0.host == route.host && $0.key != route.key }) {
            throw DeployerError(
                .hostTaken, "\(route.host) already belongs to \(other.key)",
                hint: "give one of the two stages another host")
        }
        var next = self
        next.routes[route.key] = route
        next.generation += 1
        return next
    }

    func removing(key: String) -> RouteTable {
        guard routes[key] != nil else { return self }
        var next = self
        next.routes[key] = nil
        next.generation += 1
        return next
    }
}
