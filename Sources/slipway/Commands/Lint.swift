import ArgumentParser
import Foundation
import PipelineFile

struct Lint: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check pipeline files.",
        discussion: "Example: slipway lint pipelines/. Without a path: the folder 'pipelines'. Needs no server.")
    @Argument(help: "Files, or folders with *.yaml in them.") var paths: [String] = ["pipelines"]
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        var diagnostics: [Diagnostic] = []
        let files = try paths.flatMap(Self.files)
        for file in files {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw Failure("\(file) cannot be read", hint: "check the path and its permissions")
            }
            do {
                _ = try PipelineParser.parse(String(decoding: data, as: UTF8.self), file: file)
            } catch {
                diagnostics += error.diagnostics
            }
        }
        if json {
            try printJSON(diagnostics)
        } else {
            for diagnostic in diagnostics { print("\(diagnostic)\n") }
            print("\(files.count) file(s), \(diagnostics.count) problem(s)")
        }
        if !diagnostics.isEmpty { throw ExitCode(Failure.failed) }
    }

    private static func files(_ path: String) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw Failure("there is no \(path)", hint: "name a pipeline file or a folder of them", status: Failure.usage)
        }
        guard isFolder.boolValue else { return [path] }
        let found = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            .filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.map { "\(path)/\($0)" }
        if found.isEmpty { throw Failure("\(path) holds no *.yaml", hint: "name a pipeline file", status: Failure.usage) }
        return found
    }
}
