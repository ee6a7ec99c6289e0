import DeliveryModel
import Testing

@testable import LoadGenerator

struct CoreTests {
    @Test func sharesAreKeptAndSpread() {
        let mix = LoadMix.sample
        let sum = mix.shares.reduce(0) { $0 + $1.share }
        var counts: [LoadMix.Kind: Int] = [:]
        for number in 0..<sum { counts[mix.kind(of: number), default: 0] += 1 }
        for (kind, share) in mix.shares { #expect(counts[kind] == share, "\(kind)") }
        // Each tenth has some of the rare ones, not all of them at the end.
        for tenth in 0..<10 {
            let kinds = (tenth * sum / 10..<(tenth + 1) * sum / 10).map { mix.kind(of: $0) }
            #expect(kinds.contains(.slow) && kinds.contains(.webSocket) && kinds.contains(.upload))
        }
        #expect(Set((0..<8).map { LoadMix.plain(path: "/").kind(of: $0) }) == [.keepAlive, .close])
        #expect(LoadMix(shares: [], path: "/").kind(of: 3) == .keepAlive)
    }

    @Test func theScheduleDoesNotWait() {
        let schedule = LoadSchedule(rate: 500)
        #expect(schedule.due(0) == 0 && schedule.due(500) == 1)
        #expect(schedule.count(after: 0) == 1 && schedule.count(after: 0.999) == 500 && schedule.count(after: -1) == 0)
        // After a pause of two seconds all that was due is due at once, with the time it was meant for.
        #expect(schedule.count(after: 3) - schedule.count(after: 1) == 1000)
    }

    @Test func statusesAreClassified() {
        #expect(LoadOutcome.end(status: 200) == .answered && LoadOutcome.end(status: 304) == .answered)
        for status in [101, 404, 429, 500, 502, 503] { #expect(LoadOutcome.end(status: status) == .failed("status \(status)")) }
    }

    @Test func aRecordCountsBySecond() {
        var record = LoadRecord()
        record.add(LoadOutcome(kind: .keepAlive, end: .answered, due: 0.5, ended: 0.51, version: "1"))
        record.add(LoadOutcome(kind: .close, end: .answered, due: 0.9, ended: 2.9, version: "2", reconnected: true))
        record.add(LoadOutcome(kind: .slow, end: .answered, due: 0.9, ended: 10.9))
        record.add(LoadOutcome(kind: .upload, end: .failed("status 502"), due: 2.0, ended: 2.1, version: nil))
        record.add(LoadOutcome(kind: .webSocket, end: .cut, due: 2.5, ended: 4, version: "2"))
        #expect(record.total == 5 && record.failures == 1 && record.cut == 1 && record.reconnected == 1)
        #expect(record.seconds.map(\.sent) == [3, 0, 2] && record.seconds.map(\.failed) == [0, 0, 1])
        #expect(record.reasons == ["upload: status 502": 1])
        // The long one does not count as slow; the one that had to wait does.
        let latency = record.latency(from: 0, to: 1)
        #expect(latency.count == 2)
        #expect((latency.quantile(1) ?? 0) >= 2)
        #expect(record.latency(from: 1, to: 100).count == 0)
        #expect(record.versions(from: 0, to: 2) == ["1": 1] && record.versions(from: 2, to: 100) == ["2": 2])
        #expect(record.versions(from: 100, to: 50).isEmpty)
    }

    @Test func aRecordStaysSmall() {
        var record = LoadRecord()
        for number in 0..<5000 {
            record.add(
                LoadOutcome(kind: .close, end: .failed("reason \(number)"), due: Double(number) / 500, ended: 0, version: "version \(number)"))
        }
        #expect(record.reasons.count <= 51 && record.reasons.values.reduce(0, +) == 5000)
        #expect(record.versions(from: 0, to: 100).count <= 1001)
        #expect(record.seconds.count == 10)
    }

    @Test func whoeverMeetsANewVersionIsCounted() {
        var record = LoadRecord()
        func answers(_ version: String?, _ seconds: Range<Int>) {
            for second in seconds {
                record.add(LoadOutcome(kind: .close, end: .answered, due: Double(second), ended: Double(second) + 0.1, version: version))
            }
        }
        answers("1", 0..<20)
        answers("2", 10..<13)
        #expect(ProofReport.met(record, from: 8, to: 15) == ["2": 3])
        #expect(ProofReport.met(record, from: 15, to: 18) == [:])
        #expect(ProofReport.met(LoadRecord(), from: 1, to: 2) == nil)
    }

    @Test func aReportIsGoodWhenNothingWasLost() {
        var record = LoadRecord()
        record.add(LoadOutcome(kind: .close, end: .answered, due: 0, ended: 0.01))
        func deployment(bad: Bool, _ state: String, allowance: Double = 0, met: [String: Int]? = nil) -> ProofReport.Deployment {
            .init(
                id: 1, run: 2, isBad: bad, state: state, message: nil, began: 1, ended: 4, turned: bad ? 3 : nil, share: 5, allowance: allowance,
                met: met)
        }
        func report(_ record: LoadRecord, _ deployments: [ProofReport.Deployment]) -> ProofReport {
            ProofReport(stage: "dev", rate: 10, record: record, seconds: 5, baseline: 1, deployments: deployments)
        }
        #expect(report(record, [deployment(bad: false, "succeeded"), deployment(bad: true, "failed")]).isGood)
        #expect(deployment(bad: true, "failed").rollback == 1)
        #expect(!report(record, [deployment(bad: false, "failed")]).isGood)
        #expect(!report(record, [deployment(bad: true, "succeeded")]).isGood)
        #expect(!report(LoadRecord(), []).isGood)
        #expect(deployment(bad: true, "failed", allowance: 100, met: ["2": 100]).exposure == 100)
        #expect(!report(record, [deployment(bad: true, "failed", allowance: 100, met: ["2": 120])]).isGood)
        // What the bad release fails itself is its own affair.
        record.add(LoadOutcome(kind: .close, end: .failed("status 500"), due: 0, ended: 0.01, version: "2"))
        let itself = report(record, [deployment(bad: true, "failed", allowance: 100, met: ["2": 100])])
        #expect(itself.isGood && itself.failed == 1 && itself.lostToBad == 1 && itself.lostByVersion == ["2": 1])
        #expect(!report(record, [deployment(bad: false, "succeeded", met: ["2": 100])]).isGood)
        record.add(LoadOutcome(kind: .webSocket, end: .cut, due: 1, ended: 2))
        #expect(!report(record, [deployment(bad: true, "failed", allowance: 100, met: ["2": 100])]).isGood)
    }

    @Test func timesAreThoseOfTheirSpans() {
        var record = LoadRecord()
        for second in 0..<30 {
            let time = (10..<20).contains(second) ? 0.1 : second < 10 ? 0.01 : 1
            record.add(LoadOutcome(kind: .close, end: .answered, due: Double(second), ended: Double(second) + time))
        }
        func deployment(_ isBad: Bool, _ began: Double, _ ended: Double) -> ProofReport.Deployment {
            .init(
                id: 1, run: 2, isBad: isBad, state: "succeeded", message: nil, began: began, ended: ended, turned: nil, share: 0, allowance: 0)
        }
        let report = ProofReport(
            stage: "dev", rate: 1, record: record, seconds: 30, baseline: 10,
            deployments: [deployment(false, 10, 14.5), deployment(true, 20, 30), deployment(false, 17, 19)])
        #expect(report.before.requests == 10 && report.during.requests == 20 && report.duringGood.requests == 7)
        #expect((report.before.p99 ?? 0) < 12 && (100..<110).contains(report.duringGood.p99 ?? 0) && (report.during.p99 ?? 0) >= 1000)
    }

    @Test func aPlotIsWellFormedAndEscaped() {
        var record = LoadRecord()
        for second in 0..<10 { record.add(LoadOutcome(kind: .close, end: .answered, due: Double(second), ended: Double(second) + 0.02)) }
        record.add(LoadOutcome(kind: .close, end: .failed("status 502"), due: 4, ended: 4))
        let report = ProofReport(
            stage: "<dev> & \"co\"", rate: 1, record: record, seconds: 10, baseline: 2,
            deployments: [.init(id: 1, run: 2, isBad: true, state: "failed", message: nil, began: 3, ended: 5, turned: nil, share: 0, allowance: 0)])
        let svg = ProofPlot.svg(report, record)
        #expect(svg.contains("&lt;dev&gt; &amp; &quot;co&quot;") && svg.contains("<polyline") && svg.contains("<circle") && svg.hasSuffix("</svg>\n"))
        #expect([0.5, 1, 3, 10, 11, 499, 501].map(ProofPlot.niceTop) == [1, 1, 5, 10, 20, 500, 1000])
    }

    @Test func webSocketFrames() {
        let frame = WebSocketWire.frame(opcode: 1, Array("Hello".utf8))
        // RFC 6455, 5.7: "Hello", masked.
        #expect(frame == [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58])
        let back: [UInt8] = [0x81, 0x05] + Array("Hello".utf8)
        #expect(WebSocketWire.first(back + [0x88])?.payload == Array("Hello".utf8))
        #expect(WebSocketWire.first(back + [0x88])?.rest == [0x88])
        for length in 0..<back.count { #expect(WebSocketWire.first(Array(back.prefix(length))) == nil) }
        let head = WebSocketWire.head(Array("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nX-A:b\r\n\r\nrest".utf8))
        #expect(head?.status == 101 && head?.fields == ["upgrade": "websocket", "x-a": "b"] && head?.rest == Array("rest".utf8))
        #expect(WebSocketWire.head(Array("HTTP/1.1 101\r\n".utf8)) == nil && WebSocketWire.head([]) == nil)
    }
}
