import Foundation
import Testing

@testable import PipelineFile

/// What this repository publishes agrees with the parser: schema, reference, pipelines.
@Suite struct PublishedFilesTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// The schema's mappings with fixed keys.
    private static func definitions() throws -> [String: [String: Any]] {
        let json = try JSONSerialization.jsonObject(with: Data(text("docs/pipeline.schema.json").utf8))
        let schema = try #require(json as? [String: Any])
        #expect(schema["$schema"] as? String == "https://json-schema.org/draft/2020-12/schema")
        let definitions = try #require(schema["$defs"] as? [String: [String: Any]])
        return definitions.filter { $0.value["properties"] != nil }
    }

    @Test func theSchemaHasTheSameKeys() throws {
        let definitions = try Self.definitions()
        #expect(Set(definitions.keys) == Set(KeySet.all.map(\.name)))
        for set in KeySet.all {
            let definition = try #require(definitions[set.name])
            let properties = try #require(definition["properties"] as? [String: Any])
            #expect(Set(properties.keys) == Set(set.keys).union(set.synonyms.keys), "\(set.name)")
            #expect(definition["additionalProperties"] as? Bool == false)
            // Required keys with synonyms are written as a choice.
            let withoutSynonyms = Set(set.required).subtracting(set.synonyms.values)
            #expect(Set(definition["required"] as? [String] ?? []) == withoutSynonyms, "\(set.name)")
        }
    }

    @Test func theReferenceHasTheSameKeys() throws {
        let sections = try Self.text("docs/pipeline.md").components(separatedBy: "\n### ")
        for set in KeySet.all {
            let section = try #require(sections.first { $0.hasPrefix("\(set.name)\n") }, "no section \(set.name)")
            var keys: Set<String> = []
            var required: Set<String> = []
            for row in section.components(separatedBy: "\n") where row.hasPrefix("| `") || row.hasPrefix("| **`") {
                let cell = row.components(separatedBy: " | ")[0]
                let names = cell.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
                keys.formUnion(names)
                if row.hasPrefix("| **"), let first = names.first { required.insert(first) }
            }
            #expect(keys == Set(set.keys).union(set.synonyms.keys), "\(set.name)")
            #expect(required == Set(set.required), "\(set.name)")
            for key in set.notYet {
                #expect(section.contains("Not yet: ") && section.contains("`\(key)`"), "\(set.name).\(key)")
            }
        }
    }

    @Test func theExampleOfTheReferenceParses() throws {
        let blocks = try Self.text("docs/pipeline.md").components(separatedBy: "```yaml\n").dropFirst()
        let example = try #require(blocks.first { $0.hasPrefix("when:") }?.components(separatedBy: "```").first)
        #expect(try PipelineParser.parse(example, file: "gtin.yaml").stages.count == 2)
    }

    @Test func slipwaysOwnPipelineParses() throws {
        let path = "pipelines/slipway.yaml"
        let plan = try PipelineParser.parse(Self.text(path), file: path)
        #expect(plan.name == "slipway")
        #expect(plan.steps.map(\.name) == ["lint", "build", "test"])
        #expect(plan.stages.map(\.name) == ["dev", "prod"])
        #expect(plan.stages.last?.after == "dev")
    }

    @Test func everyPipelineOfTheRepositoryParses() throws {
        var files: [String] = []
        for folder in ["pipelines", "examples"] {
            let names = try FileManager.default.subpathsOfDirectory(atPath: Self.root.appending(path: folder).path)
            files += names.map { "\(folder)/\($0)" }
        }
        files = files.filter { $0.hasSuffix(".yaml") && ("/" + $0).contains("/pipelines/") }
        #expect(files.contains("pipelines/slipway.yaml"))
        for file in files {
            #expect(throws: Never.self, "\(file)") { try PipelineParser.parse(Self.text(file), file: file) }
        }
    }
}
