/// "Did you mean …" by edit distance.
public enum NearestWord {
    /// The candidate nearest to `word`, when near enough to be what was meant. Words over 64 bytes are near to nothing.
    ///
    /// - Parameter fold: makes candidates comparable with `word`, by their case for instance.
    public static func nearest(
        to word: String, among candidates: some Sequence<String>, fold: (String) -> String = { $0 }
    ) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let distance = editDistance(word, fold(candidate))
            let longest = max(word.count, candidate.count)
            if distance <= max(1, min(3, longest / 3)), distance * 2 < longest, distance < best?.distance ?? .max {
                best = (candidate, distance)
            }
        }
        return best?.candidate
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    static func editDistance(_ left: String, _ right: String) -> Int {
        let left = Array(left.unicodeScalars), right = Array(right.unicodeScalars)
        var before: [Int] = [], previous = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                let replaced = previous[column] + (left[row] == right[column] ? 0 : 1)
                var cost = min(replaced, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, before[column - 1] + 1)
                }
                current.append(cost)
            }
            before = previous
            previous = current
        }
        return previous[right.count]
    }
}
