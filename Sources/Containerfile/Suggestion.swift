import Diagnostics

/// "Did you mean …" by edit distance.
enum Suggestion {
    /// A sentence naming the nearest candidate, or all of them when `orList` is set and none is near.
    static func didYouMean(_ word: String, among candidates: [String], orList: Bool = false) -> String? {
        if let nearest = nearest(to: word, among: candidates) { return "did you mean '\(nearest)'?" }
        return orList ? "known are \(candidates.joined(separator: ", "))" : nil
    }

    /// The candidate nearest to `word`; case does not count.
    static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
        NearestWord.nearest(to: word.lowercased(), among: candidates) { $0.lowercased() }
    }
}
