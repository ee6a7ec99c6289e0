/// Who acts on a container, and by which claim.
///
/// A server that was frozen may wake after another one has taken over its work. The epoch of a lease grows with every takeover,
/// so what a smaller one asks for is refused at the container itself.
public struct Fence: Sendable, Hashable {
    /// What the lease is of, a run or a deployment. Written as the id of a container.
    public var owner: String
    /// The lease's epoch.
    public var epoch: Int64

    public init(owner: String, epoch: Int64) {
        self.owner = owner
        self.epoch = epoch
    }
}
