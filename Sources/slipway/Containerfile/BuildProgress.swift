import ContainerfileBuild

/// A line per step, and what commands print, on standard error.
struct BuildProgress: Sendable {
    let isQuiet: Bool

    func report(_ event: BuildEvent) async {
        guard !isQuiet else { return }
        switch event {
        case .warning(let text): writeError(text)
        case .started(let step): writeError("\(name(step)) \(step.text)")
        case .output(let step, let line): writeError("\(name(step)) | \(line)")
        case .finished(let step, .cached, _): writeError("\(name(step)) from the cache")
        case .finished(let step, .done, let time): writeError("\(name(step)) done in \(seconds(time)) s")
        }
    }

    private func name(_ step: BuildStep) -> String { "[\(step.stage) \(step.number)/\(step.count)]" }

    private func seconds(_ time: Duration) -> String {
        let hundredths = time.components.seconds * 100 + time.components.attoseconds / 10_000_000_000_000_000
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }
}
