import FoundationEssentials

/// A moment as people and machines read it.
public enum Moment {
    /// `2026-03-06 16:00 UTC`, from seconds since 1970.
    public static func text(_ seconds: Double) -> String {
        let style = Date.ISO8601FormatStyle(dateTimeSeparator: .space, timeZone: .gmt).year().month().day().time(includingFractionalSeconds: false)
        return "\(Date(timeIntervalSince1970: seconds).formatted(style).prefix(16)) UTC"
    }
}
