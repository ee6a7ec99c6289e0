/// Who acts for a deployment: the holder of its lease in one epoch.
///
/// A server that was frozen may wake after another one has taken the deployment over. The epoch grows with every takeover, so
/// targets refuse what a smaller one asks for, by an error with the code `staleHolder`.
public struct Claim: Hashable, Sendable {
    /// Id of the deployment.
    public var deployment: String
    public var epoch: Int64

    public init(deployment: String, epoch: Int64) {
        self.deployment = deployment
        self.epoch = epoch
    }
}

extension RolloutOrder {
    /// The claim by which the order is carried out.
    public var claim: Claim { Claim(deployment: deployment, epoch: epoch) }
}
