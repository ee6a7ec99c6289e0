extension Dictionary<String, any Target> {
    /// The target that a stage names.
    ///
    /// - Throws: ``DeployerError`` with the code `unknownTarget`, which names those that there are.
    public func target(named name: String) throws(DeployerError) -> any Target {
        if let target = self[name] { return target }
        let known = keys.sorted().joined(separator: ", ")
        throw DeployerError(
            .unknownTarget, "there is no target '\(RouteValidation.printable(name))' on this server; it has: \(known)",
            hint: "name one of these as the stage's target, or add it under `targets` in slipway.yaml")
    }

    /// Says which of the targets that stages name are missing, before anything is begun.
    ///
    /// - Throws: as ``target(named:)`` does, for the first one that is missing.
    public func require(_ names: [String]) throws(DeployerError) {
        for name in names { _ = try target(named: name) }
    }
}
