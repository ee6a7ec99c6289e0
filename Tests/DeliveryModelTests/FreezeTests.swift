import DeliveryModel
import Foundation
import Testing

/// Schedules and the times between.
@Suite struct FreezeTests {
    static func time(_ text: String) throws -> Double { try Date(text, strategy: .iso8601).timeIntervalSince1970 }

    @Test(arguments: [
        ("0 16 * * FRI", "UTC", "2026-03-02T00:00:00Z", "2026-03-06T16:00:00Z"),
        ("0 16 * * 5", "Europe/Berlin", "2026-03-02T00:00:00Z", "2026-03-06T15:00:00Z"),
        // Summer time.
        ("0 16 * * 5", "Europe/Berlin", "2026-06-01T00:00:00Z", "2026-06-05T14:00:00Z"),
        ("*/15 * * * *", "UTC", "2026-03-02T10:15:00Z", "2026-03-02T10:30:00Z"),
        ("5/20 8-9 * * *", "UTC", "2026-03-02T08:45:00Z", "2026-03-02T09:05:00Z"),
        ("0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 1 JAN *", "Pacific/Auckland", "2026-03-01T00:00:00Z", "2026-12-31T11:00:00Z"),
        // Sunday is 0 and 7.
        ("0 0 * * 7", "UTC", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"),
        ("0 9 * * MON-FRI", "UTC", "2026-03-06T09:00:00Z", "2026-03-09T09:00:00Z"),
        // Both days restricted: one is enough.
        ("0 0 13 * FRI", "UTC", "2026-03-02T00:00:00Z", "2026-03-06T00:00:00Z"),
        ("0 0 3 * FRI", "UTC", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"),
        // 02:30 is jumped over on 2026-03-29, and shown twice on 2026-10-25.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-30T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:30:00Z"),
        ("0 12 * * *", "Asia/Kolkata", "2026-03-02T06:30:00Z", "2026-03-03T06:30:00Z"),
    ])
    func theNextMomentIsFound(_ schedule: String, _ zone: String, _ after: String, _ expected: String) throws {
        let cron = try CronSchedule(schedule, zone: zone)
        let moment = try #require(cron.next(after: try Self.time(after)))
        #expect(moment == (try Self.time(expected)), "\(Moment.text(moment))")
        // From there back it is the last one.
        #expect(cron.last(until: moment, notBefore: moment - 1) == moment)
        #expect(cron.last(until: moment + 59, notBefore: moment - 1) == moment)
        #expect(cron.last(until: moment - 1, notBefore: try Self.time(after) + 1) == nil)
    }

    @Test(arguments: [
        ("", "fields"), ("0 16 * *", "4 fields"), ("0 16 * * FRI *", "6 fields"), ("60 * * * *", "minute"), ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"), ("* * * 13 *", "month"), ("* * * * 8", "weekday"), ("* * * * FRY", "weekday"), ("5-1 * * * *", "minute"),
        ("*/0 * * * *", "minute"), ("1,,2 * * * *", "minute"), ("-1 * * * *", "minute"), ("1/2/3 * * * *", "minute"), ("0 0 31 2 *", "never"),
        ("0 0 31 4,6 *", "never"), ("+1 * * * *", "minute"), ("*/+2 * * * *", "minute"),
    ])
    func whatIsNoScheduleIsRefused(_ text: String, _ reason: String) {
        do {
            _ = try CronSchedule(text)
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.message.contains(reason) && !error.hint.isEmpty, "\(error.message)")
        }
    }

    @Test func aZoneHasAName() {
        #expect(CronSchedule.isZone("Europe/Berlin") && CronSchedule.isZone("UTC"))
        for wrong in ["", "Berlin", "Europe/Atlantis", "CEST", "../../etc/passwd"] {
            #expect(!CronSchedule.isZone(wrong), "\(wrong)")
        }
    }

    static let weekend = "0 16 * * FRI"

    /// Friday at 16:00 in Berlin, for 64 hours: until Monday at 08:00 while no clock is set.
    @Test(
        arguments: [
            ("2026-03-06T14:59:59Z", nil), ("2026-03-06T15:00:00Z", "2026-03-09T07:00:00Z"), ("2026-03-08T23:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-03-09T06:59:59Z", "2026-03-09T07:00:00Z"), ("2026-03-09T07:00:00Z", nil), ("2026-03-11T15:00:00Z", nil),
            // The clock is put forward in that night: 64 hours end at 09:00 there.
            ("2026-03-29T12:00:00Z", "2026-03-30T07:00:00Z"), ("2026-03-30T06:30:00Z", "2026-03-30T07:00:00Z"),
            // And back: at 07:00.
            ("2026-10-26T05:59:00Z", "2026-10-26T06:00:00Z"), ("2026-10-26T06:00:00Z", nil),
        ] as [(String, String?)])
    func aWindowIsFrozen(_ now: String, _ end: String?) throws {
        let window = FreezeWindow(cron: try CronSchedule(Self.weekend, zone: "Europe/Berlin"), seconds: 64 * 3600)
        let expected = try end.map { FreezeDecision.frozen(until: try Self.time($0)) } ?? .open
        let time = try Self.time(now)
        #expect(FreezeDecision.at(time, windows: [window]) == expected)
        #expect(FreezeDecision.at(time, windows: [window], isRollback: true) == .open)
        #expect(FreezeDecision.at(time, windows: [window], isOverridden: true) == .open)
        #expect(FreezeDecision.at(time, windows: []) == .open)
    }

    @Test func windowsThatTouchAreOne() throws {
        let first = FreezeWindow(cron: try CronSchedule("0 10 * * *"), seconds: 2 * 3600)
        let second = FreezeWindow(cron: try CronSchedule("0 12 * * *"), seconds: 3600)
        let apart = FreezeWindow(cron: try CronSchedule("1 13 * * *"), seconds: 3600)
        let time = try Self.time("2026-03-02T10:30:00Z")
        #expect(FreezeDecision.at(time, windows: [second, first, apart]) == .frozen(until: try Self.time("2026-03-02T13:00:00Z")))
        let always = FreezeWindow(cron: try CronSchedule("0 0 * * *"), seconds: 86_400)
        #expect(FreezeDecision.at(time, windows: [always]) == .frozen(until: nil))
    }

    @Test func aScheduleIsKeptAsText() throws {
        let window = FreezeWindow(cron: try CronSchedule(Self.weekend, zone: "Europe/Berlin"), seconds: 60)
        let data = try JSONEncoder().encode(window)
        #expect(try JSONDecoder().decode(FreezeWindow.self, from: data) == window)
        #expect(String(decoding: data, as: UTF8.self).contains("0 16 * * FRI"))
    }

    @Test(arguments: [
        (PromotionRule.automatic, 0.0, PromotionRule.Decision.now), (.manual, 1e9, .waiting("somebody to promote it")),
        (.after(60), 59, .later(1060)), (.after(60), 60, .now), (.after(60), 600, .now), (.tag("v*"), 0, .now),
        (.tag("w*"), 1e9, .waiting("a tag 'w*' at its commit")),
    ])
    func rulesSayWhen(_ rule: PromotionRule, _ passed: Double, _ expected: PromotionRule.Decision) {
        #expect(rule.decision(since: 1000, at: 1000 + passed) { $0 == "v*" } == expected)
    }

    @Test func aRuleWithAScheduleWaitsForItsFirstMoment() throws {
        let since = try Self.time("2026-03-06T10:00:00Z")
        let rule = PromotionRule.at(try CronSchedule("0 9 * * MON-FRI", zone: "Europe/Berlin"))
        let monday = try Self.time("2026-03-09T08:00:00Z")
        #expect(rule.decision(since: since, at: since) { _ in false } == .later(monday))
        #expect(rule.decision(since: since, at: monday - 1) { _ in false } == .later(monday))
        #expect(rule.decision(since: since, at: monday + 1e6) { _ in false } == .now)
    }
}
