import Diagnostics

/// "Did you mean …" for the keys and names of a pipeline file.
enum Suggestion {
    /// The candidate nearest to `word`, whose case and dashes do not count.
    static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
        NearestWord.nearest(to: word.lowercased().replacing("-", with: "_"), among: candidates)
    }
}
