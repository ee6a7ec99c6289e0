import DeliveryModel
import OCIModel

/// A server, and what it is in the middle of. It does one small thing at a time, and can be cut off after each.
struct SimulatedHolder {
    /// An effect that is being carried out, with how far it has come.
    struct Task {
        enum Stage { case observe, putAside, start, finishStart, wait, work }
        var effect: RunEffect
        var stage: Stage
    }

    /// A claimed run.
    struct Work {
        var epoch: Int
        var progress: RunProgress?
        var events: [RunEvent] = []
        var tasks: [Task] = []
        /// Wait until nothing is being removed.
        var later: [RunEffect] = []
        /// What has to be in the store before its effects may begin.
        var unrecorded: (change: RunChange, effects: [RunEffect])?
        /// The steps whose processes have to be ended before anything else.
        var stopping: [String]?
        /// By its own clock.
        var renewedAt: Double
    }

    let id: Int
    var isFrozen = false
    var work: Work?

    static let image = Digest.sha256([1])
}
