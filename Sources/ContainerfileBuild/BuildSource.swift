import BlockingQueue
import Containerfile
import Glibc
import OCIModel
import SystemPackage

/// The Containerfile, read, with its context.
struct BuildSource: Sendable {
    let file: BuildFile
    let graph: BuildGraph
    let arguments: BuildArguments
    let context: BuildFolder
    /// With file and line.
    let warnings: [String]

    static func read(_ request: ContainerfileBuildRequest, queue: BlockingQueue) async throws -> BuildSource {
        try await queue.run { _ in
            let shown = name(request)
            guard let bytes = try read(request.containerfile, limit: 16 << 20) else {
                throw ContainerfileBuildError(
                    .notFound, "there is no Containerfile \(request.containerfile)", hint: "name it with --file")
            }
            let file = try ContainerfileParser.parse(bytes, file: shown)
            let arguments = BuildArguments(
                values: request.arguments, target: request.platform, build: .current)
            let graph = try BuildGraph(file, arguments: arguments, target: request.target)
            let unused = file.undeclared(among: request.arguments).map { "\(shown): no ARG declares '\($0)', which the build was given" }
            return BuildSource(
                file: file, graph: graph, arguments: arguments, context: try context(request),
                warnings: file.warnings.map(\.description) + unused)
        }
    }

    /// As users know it: relative to the context when it lies inside.
    private static func name(_ request: ContainerfileBuildRequest) -> String {
        var path = request.containerfile
        let isInside = path.removePrefix(request.context)
        return isInside && !path.isEmpty ? path.string : request.containerfile.string
    }

    private static func context(_ request: ContainerfileBuildRequest) throws -> BuildFolder {
        guard let resolved = request.context.withPlatformString({ realpath($0, nil) }) else {
            throw ContainerfileBuildError(.notFound, "there is no build context \(request.context)", hint: "name a folder")
        }
        defer { free(resolved) }
        let root = TreeRoot(path: FilePath(platformString: resolved))
        guard try root.find("").isFolder else {
            throw ContainerfileBuildError(.invalidValue, "the build context \(request.context) is no folder", hint: "name a folder")
        }
        // The file's own rules go before the folder's.
        let places = [
            FilePath("\(request.containerfile).dockerignore"), root.path.appending(".containerignore"),
            root.path.appending(".dockerignore"),
        ]
        for place in places {
            guard let bytes = try read(place, limit: 1 << 20) else { continue }
            return BuildFolder(root: root, ignore: try IgnoreRules(parsing: bytes, file: place.lastComponent?.string ?? ""))
        }
        return BuildFolder(root: root, ignore: nil)
    }

    /// nil: there is no such file.
    private static func read(_ path: FilePath, limit: Int) throws -> [UInt8]? {
        let file: FileDescriptor
        do { file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec]) } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch { throw ContainerfileBuildError(.failed, "cannot read \(path): \(error)") }
        return try file.closeAfter {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
                if count == 0 { return bytes }
                bytes += chunk[..<count]
                guard bytes.count <= limit else {
                    throw ContainerfileBuildError(.invalidValue, "\(path) is larger than \(limit) bytes", hint: "is it the right file?")
                }
            }
        }
    }
}
