import Testing

/// The real binary with real containers and a real nginx. One server at a time: two cores are enough.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct EndToEnd {}
