import FoundationEssentials
import FoundationInternationalization

/// A crontab schedule in a time zone: minute, hour, day of the month, month, day of the week (crontab(5)). A moment matches when all
/// five do; where both days are restricted, one of them is enough.
///
/// A time that the clock jumps over counts as that much later; one that it shows twice counts the first time.
public struct CronSchedule: Codable, Hashable, Sendable, CustomStringConvertible {
    public let text: String
    /// A name of the IANA time zone database, as in `Europe/Berlin`.
    public let zone: String
    private let minutes: [Int]
    private let hours: [Int]
    private let days: Set<Int>
    private let months: Set<Int>
    /// Sunday is 0.
    private let weekdays: Set<Int>
    private let eitherDay: Bool

    public struct Invalid: Error, Hashable, Sendable {
        public var message: String
        public var hint: String
    }

    public init(_ text: String, zone: String = "UTC") throws(Invalid) {
        guard Self.timeZone(zone) != nil else {
            throw Invalid(message: "there is no time zone '\(zone.prefix(60))'", hint: "write a name as in Europe/Berlin, or UTC")
        }
        let parts = text.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 5, text.utf8.count <= 200 else {
            throw Invalid(
                message: "'\(text.prefix(60))' is not a schedule: it has \(parts.count) fields",
                hint: "write minute, hour, day, month and weekday: \"0 16 * * FRI\"")
        }
        self.text = text
        self.zone = zone
        minutes = try Self.values(parts[0], Field(name: "minute", range: 0...59)).sorted()
        hours = try Self.values(parts[1], Field(name: "hour", range: 0...23)).sorted()
        days = try Self.values(parts[2], Field(name: "day of the month", range: 1...31))
        months = try Self.values(parts[3], Field(name: "month", range: 1...12, names: Self.monthNames, first: 1))
        weekdays = Set(try Self.values(parts[4], Field(name: "weekday", range: 0...7, names: Self.weekdayNames)).map { $0 % 7 })
        eitherDay = !parts[2].hasPrefix("*") && !parts[4].hasPrefix("*")
        // Every date with its weekday comes again after 400 years; the dates themselves are all there within eight.
        guard eitherDay || months.contains(where: { month in days.contains { $0 <= (month == 2 ? 29 : Self.length(month)) } }) else {
            throw Invalid(message: "'\(text)' never happens", hint: "the month has no such day")
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let (text, zone) = (try container.decode(String.self, forKey: .text), try container.decode(String.self, forKey: .zone))
        do { try self.init(text, zone: zone) } catch {
            throw DecodingError.dataCorruptedError(forKey: .text, in: container, debugDescription: error.message)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(text, forKey: .text)
        try container.encode(zone, forKey: .zone)
    }

    private enum CodingKeys: String, CodingKey { case text, zone }

    public var description: String { "\(text) \(zone)" }

    public static func isZone(_ name: String) -> Bool { timeZone(name) != nil }

    /// The last moment at `time` or before, not before `limit`. Seconds since 1970.
    public func last(until time: Double, notBefore limit: Double) -> Double? {
        guard let local = LocalTime(zone) else { return nil }
        var day = local.day(of: time)
        let lowest = local.day(of: limit) - 1
        // A time that the clock jumped over counts on the day after, at most.
        while day >= lowest {
            if matches(day), let moment = last(on: day, until: time, local) { return moment >= limit ? moment : nil }
            day -= 1
        }
        return nil
    }

    private func last(on day: Int, until time: Double, _ local: LocalTime) -> Double? {
        // Where no clock is set that day, a moment is a sum: schedules of every minute are asked often.
        guard let start = local.start(ofEven: day) else { return moments(of: day, local).last { $0 <= time } }
        for hour in hours.reversed() where start + Double(hour * 3600) <= time {
            for minute in minutes.reversed() {
                let moment = start + Double(hour * 3600 + minute * 60)
                if moment <= time { return moment }
            }
        }
        return nil
    }

    /// The first moment after `time`, within eight years.
    public func next(after time: Double) -> Double? {
        guard let local = LocalTime(zone) else { return nil }
        let first = local.day(of: time) - 1
        for day in first...(first + 8 * 366) where matches(day) {
            for moment in moments(of: day, local) where moment > time { return moment }
        }
        return nil
    }

    private func moments(of day: Int, _ local: LocalTime) -> [Double] {
        hours.flatMap { hour in minutes.map { local.moment(day: day, second: hour * 3600 + $0 * 60) } }.sorted()
    }

    private func matches(_ day: Int) -> Bool {
        let date = CivilDate(day: day)
        guard months.contains(date.month) else { return false }
        let (byDay, byWeekday) = (days.contains(date.day), weekdays.contains(date.weekday))
        return eitherDay ? byDay || byWeekday : byDay && byWeekday
    }

    // MARK: Reading

    private struct Field {
        var name: String
        var range: ClosedRange<Int>
        var names: [String] = []
        /// What the first name stands for.
        var first = 0

        func value(_ text: Substring) -> Int? {
            if let index = names.firstIndex(of: text.uppercased()) { return index + first }
            guard text.utf8.count <= 2, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(text) else { return nil }
            return range.contains(number) ? number : nil
        }
    }

    private static let monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
    private static let weekdayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

    private static func length(_ month: Int) -> Int { [4, 6, 9, 11].contains(month) ? 30 : 31 }

    private static func values(_ text: Substring, _ field: Field) throws(Invalid) -> Set<Int> {
        let wrong = Invalid(
            message: "'\(text.prefix(40))' is not a \(field.name)",
            hint: "write *, a number from \(field.range.lowerBound) to \(field.range.upperBound), a range 1-5, a list 1,3 or a step */2"
                + (field.names.isEmpty ? "" : "; or names as in \(field.names[1])"))
        var values: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
            guard pieces.count <= 2 else { throw wrong }
            var step = 1
            if pieces.count == 2 {
                guard let number = Int(pieces[1]), (1...field.range.upperBound).contains(number), pieces[1].utf8.first != 0x2b else { throw wrong }
                step = number
            }
            let range: ClosedRange<Int>
            if pieces[0] == "*" {
                range = field.range
            } else {
                let ends = pieces[0].split(separator: "-", omittingEmptySubsequences: false)
                guard ends.count <= 2, let low = field.value(ends[0]), let high = ends.count == 2 ? field.value(ends[1]) : low, low <= high
                else { throw wrong }
                range = low...(ends.count == 1 && pieces.count == 2 ? field.range.upperBound : high)
            }
            values.formUnion(stride(from: range.lowerBound, through: range.upperBound, by: step))
        }
        return values
    }

    fileprivate static func timeZone(_ name: String) -> TimeZone? {
        guard name.utf8.count <= 60, name == "UTC" || name.contains("/") else { return nil }
        return TimeZone(identifier: name)
    }
}

/// The days and hours of a place.
private struct LocalTime {
    private let zone: TimeZone

    init?(_ name: String) {
        guard let zone = CronSchedule.timeZone(name) else { return nil }
        self.zone = zone
    }

    private func offset(_ time: Double) -> Double { Double(zone.secondsFromGMT(for: Date(timeIntervalSince1970: time))) }

    /// Days since 1970-01-01 on the calendar there.
    func day(of time: Double) -> Int { Int(((time + offset(time)) / 86_400).rounded(.down)) }

    /// When a day begins on which, and around which, no clock is set; nil for any other.
    func start(ofEven day: Int) -> Double? {
        let wall = Double(day) * 86_400
        let early = offset(wall - 86_400)
        return early == offset(wall + 172_800) && early == offset(wall + 86_400) ? wall - early : nil
    }

    func moment(day: Int, second: Int) -> Double {
        let wall = Double(day) * 86_400 + Double(second)
        // The offsets before and after any change of that day.
        let (early, late) = (offset(wall - 86_400), offset(wall + 86_400))
        let candidates = [wall - early, wall - late].filter { $0 + offset($0) == wall }
        return candidates.min() ?? (wall - early)
    }
}

/// A day of the Gregorian calendar, by its number since 1970-01-01.
private struct CivilDate {
    let month: Int
    let day: Int
    /// Sunday is 0.
    let weekday: Int

    init(day number: Int) {
        let parts = Self.calendar.dateComponents([.month, .day, .weekday], from: Date(timeIntervalSince1970: Double(number) * 86_400))
        (month, day, weekday) = (parts.month ?? 0, parts.day ?? 0, (parts.weekday ?? 1) - 1)
    }

    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        return calendar
    }()
}
