import DeliveryModel
import FoundationEssentials

/// A deployment under way: its waves, who gets how much, how the two versions compare, and what a person can do.
public struct RolloutPanel: Sendable {
    struct Wave: Sendable {
        let label: String
        /// `done`, `now` or `next`.
        let place: String
    }

    /// Two lines over the same time.
    struct Chart: Sendable {
        let title: String
        let top: String
        let new: String
        let old: String
        let newValue: String
        let oldValue: String
        let width = RolloutPanel.width
        let height = RolloutPanel.height
    }

    static let width = 280, height = 64

    let waves: [Wave]
    /// Width of the bar in percent.
    let share: Int
    let shareText: String
    let detail: String
    let verdict: String?
    let charts: [Chart]
    let hasCharts: Bool
    /// Forms that post `csrf`; nil hides the button.
    let resumeURL: String?
    let abortURL: String?

    /// - Parameter now: seconds since 1970.
    init?(_ progress: RolloutProgress, report: RolloutReport?, deployment: String, signedIn: Bool, now: Double) {
        let isOver = progress.phase.isTerminal
        guard !progress.waves.isEmpty, !isOver || report != nil else { return nil }
        waves = progress.waves.enumerated().map { number, wave in
            Wave(
                label: "\(percentText(wave.share)) · \(wave.started)",
                place: isOver || number < progress.wave ? "done" : number == progress.wave ? "now" : "next")
        }
        let isBack = progress.ending != nil
        share = isBack ? 0 : progress.share / 10
        shareText = isBack ? "0 %" : percentText(progress.share)
        if isOver {
            detail = ""
        } else if progress.waitsForPerson {
            detail = "waits for a person to let it go on"
        } else if let until = progress.heldUntil {
            detail = "goes on in \(durationText(max(0, until - now)))"
        } else {
            detail = ""
        }
        verdict = report?.verdict
        charts = report.map(Self.charts) ?? []
        hasCharts = !charts.isEmpty
        resumeURL = signedIn && progress.waitsForPerson ? PageURL.resume(deployment) : nil
        abortURL = signedIn && progress.canGoBack ? PageURL.abort(deployment) : nil
    }

    private static func charts(_ report: RolloutReport) -> [Chart] {
        let samples = report.samples
        guard samples.count > 1 else { return [] }
        func rate(_ numbers: RolloutReport.Numbers) -> Double? {
            numbers.requests == 0 ? nil : Double(numbers.errors) / Double(numbers.requests)
        }
        return [
            chart("Failed requests", samples, atLeast: 0.01, text: { "\(oneDecimal($0 * 100)) %" }, rate),
            chart("p99", samples, atLeast: 0.01, text: time) { $0.p99 },
            chart("p50", samples, atLeast: 0.01, text: time) { $0.p50 },
        ]
    }

    private static func chart(
        _ title: String, _ samples: [RolloutReport.Sample], atLeast: Double, text: (Double) -> String,
        _ value: (RolloutReport.Numbers) -> Double?
    ) -> Chart {
        let top = samples.flatMap { [value($0.new), value($0.old)] }.compactMap { $0 }.reduce(atLeast, max)
        let (first, last) = (samples.first?.at ?? 0, samples.last?.at ?? 1)
        func path(_ numbers: (RolloutReport.Sample) -> RolloutReport.Numbers) -> String {
            var path = ""
            for sample in samples {
                guard let height = value(numbers(sample)) else { continue }
                let x = last == first ? 0 : (sample.at - first) / (last - first) * Double(width)
                let y = Double(Self.height - 2) - height / top * Double(Self.height - 4)
                path += "\(path.isEmpty ? "M" : "L")\(oneDecimal(x)) \(oneDecimal(y))"
            }
            return path
        }
        func latest(_ numbers: RolloutReport.Numbers?) -> String { numbers.flatMap(value).map(text) ?? "–" }
        return Chart(
            title: title, top: text(top), new: path(\.new), old: path(\.old), newValue: latest(samples.last?.new),
            oldValue: latest(samples.last?.old))
    }
}

/// Thousandths as people read them.
/// - Parameter share: in thousandths.
func percentText(_ share: Int) -> String { share % 10 == 0 ? "\(share / 10) %" : "\(Double(share) / 10) %" }

private func time(_ seconds: Double) -> String { seconds < 1 ? "\(oneDecimal(seconds * 1000)) ms" : "\(oneDecimal(seconds)) s" }

private func oneDecimal(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
