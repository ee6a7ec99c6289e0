/// The targets of this server, by the names that pipeline files use.
struct Targets {
    let named: [String: any Target]

    var all: some Collection<any Target> { named.values }

    func of(_ order: RolloutOrder) throws(DeployerError) -> any Target {
        guard let target = named[order.target] else {
            throw DeployerError(
                .invalidValue, "the stage '\(order.stage)' wants the target '\(order.target)', which this server does not have",
                hint: "it has: \(named.keys.sorted().joined(separator: ", "))")
        }
        return target
    }
}
