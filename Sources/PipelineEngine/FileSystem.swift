import Foundation
import SystemPackage

/// The few file operations the engine needs for its own folders.
enum FileSystem {
    static func exists(_ path: FilePath) -> Bool { FileManager.default.fileExists(atPath: path.string) }

    /// The names in a folder; none when it is missing.
    static func names(in folder: FilePath) throws -> [String] {
        exists(folder) ? try FileManager.default.contentsOfDirectory(atPath: folder.string) : []
    }

    /// When a file was written last, in seconds since 1970; nil when there is none.
    static func modified(_ file: FilePath) -> Double? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: file.string)
        return (attributes?[.modificationDate] as? Date)?.timeIntervalSince1970
    }

    /// In bytes; nil when there is none.
    static func size(_ file: FilePath) -> Int64? {
        ((try? FileManager.default.attributesOfItem(atPath: file.string))?[.size] as? NSNumber)?.int64Value
    }

    static func makeFolder(_ path: FilePath) throws {
        try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    }

    /// Removes a file or tree; nothing there is fine.
    static func remove(_ path: FilePath) throws {
        if exists(path) { try FileManager.default.removeItem(atPath: path.string) }
    }

    /// Adds to a file, which is made when missing.
    static func append(_ text: String, to path: FilePath) throws {
        try makeFolder(path.removingLastComponent())
        let file = try FileDescriptor.open(
            path, .writeOnly, options: [.append, .create, .closeOnExec], permissions: [.ownerReadWrite, .groupRead, .otherRead])
        try file.closeAfter { _ = try file.writeAll(Array(text.utf8)) }
    }

    static func move(_ path: FilePath, to target: FilePath) throws {
        try makeFolder(target.removingLastComponent())
        try FileManager.default.moveItem(atPath: path.string, toPath: target.string)
    }

    /// Writes a file by temp + rename; half of it is never seen.
    static func replace(_ path: FilePath, with data: Data) throws {
        try data.write(to: URL(filePath: path.string), options: .atomic)
    }

    /// Gives a file a second name, so that it survives the removal of the first. Already there is fine.
    static func keep(_ file: FilePath, as kept: FilePath) throws {
        guard exists(file), !exists(kept) else { return }
        try makeFolder(kept.removingLastComponent())
        try FileManager.default.linkItem(atPath: file.string, toPath: kept.string)
    }
}
