import Testing

@testable import Containerfile

/// What the tests share: parsing a text, and the one instruction of a small file.
enum Text {
    static func parse(_ text: String) throws -> BuildFile {
        try ContainerfileParser.parse(Array(text.utf8), file: "Containerfile")
    }

    static func instruction(_ text: String) throws -> Instruction {
        let file = try parse("FROM scratch\n" + text)
        try #require(file.stages.count == 1 && file.stages[0].instructions.count == 1)
        return file.stages[0].instructions[0]
    }

    /// The error that parsing gives; the test fails when there is none.
    static func error(_ text: String) throws -> ContainerfileError {
        try #require(throws: ContainerfileError.self) { try parse(text) }
    }
}

extension Word {
    /// The value where no variables are expected.
    var text: String { literal ?? "<\(source)>" }
}
