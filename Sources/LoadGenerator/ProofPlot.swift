import DeliveryModel

/// A report as an SVG: the time that 99 of 100 requests took at most, second by second; what failed; and the deployments.
public enum ProofPlot {
    private static let (width, height, left, top, bottom) = (960.0, 360.0, 60.0, 40.0, 40.0)

    public static func svg(_ report: ProofReport, _ record: LoadRecord) -> String {
        let seconds = max(1, Double(record.seconds.count))
        let times = record.seconds.map { ($0.latency.quantile(0.99) ?? 0) * 1000 }
        let highest = niceTop(times.max() ?? 1)
        let inner = (width: width - left - 20, height: height - top - bottom)
        func x(_ second: Double) -> String { number(left + inner.width * min(max(0, second), seconds) / seconds) }
        func y(_ milliseconds: Double) -> String { number(top + inner.height * (1 - min(milliseconds, highest) / highest)) }
        var parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(width)) \(number(height))" font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="#fff"/>
            <text x="\(number(left))" y="20" font-size="14">\(escape(report.stage)): \(report.sent) requests at \(report.rate)/s, \
            \(report.failed) failed, \(report.webSocketsCut) WebSockets cut early</text>
            """
        ]
        for deployment in report.deployments {
            let color = deployment.isBad ? "#c62828" : "#2e7d32"
            let (start, end) = (x(deployment.began), x(deployment.ended))
            parts.append(
                """
                <rect x="\(start)" y="\(number(top))" width="\(number(max(1, (Double(end) ?? 0) - (Double(start) ?? 0))))" \
                height="\(number(inner.height))" fill="\(color)" fill-opacity="0.12"><title>deployment \(deployment.id) of run \
                \(deployment.run): \(escape(deployment.state))</title></rect>
                <text x="\(start)" y="\(number(top - 4))" fill="\(color)" font-size="10">\(deployment.isBad ? "bad" : "good")</text>
                """)
        }
        for step in 0...4 {
            let value = highest * Double(step) / 4
            parts.append(
                """
                <line x1="\(number(left))" x2="\(number(width - 20))" y1="\(y(value))" y2="\(y(value))" stroke="#ddd"/>
                <text x="\(number(left - 6))" y="\(y(value))" text-anchor="end" dominant-baseline="middle">\(label(value)) ms</text>
                """)
        }
        for step in 0...6 {
            let second = seconds * Double(step) / 6
            parts.append("<text x=\"\(x(second))\" y=\"\(number(height - 16))\" text-anchor=\"middle\">\(label(second)) s</text>")
        }
        let points = times.enumerated().map { "\(x(Double($0.offset) + 0.5)),\(y($0.element))" }.joined(separator: " ")
        parts.append("<polyline points=\"\(points)\" fill=\"none\" stroke=\"#1565c0\" stroke-width=\"1.5\"/>")
        for (second, met) in record.seconds.enumerated() where met.failed + met.cut > 0 {
            parts.append(
                """
                <circle cx="\(x(Double(second) + 0.5))" cy="\(number(top + inner.height))" r="4" fill="#c62828">\
                <title>\(met.failed) failed, \(met.cut) cut, second \(second)</title></circle>
                """)
        }
        parts.append(
            "<text x=\"\(number(width - 20))\" y=\"20\" text-anchor=\"end\" fill=\"#1565c0\">p99 of requests, by the second they were due in</text>\n</svg>\n"
        )
        return parts.joined(separator: "\n")
    }

    /// 1, 2 or 5 times a power of ten, not below the value.
    static func niceTop(_ value: Double) -> Double {
        var power = 1.0
        while power * 10 < value { power *= 10 }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= value } ?? power * 10
    }

    private static func number(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
    private static func label(_ value: Double) -> String { value == value.rounded() ? "\(Int(value))" : number(value) }

    static func escape(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }
}
