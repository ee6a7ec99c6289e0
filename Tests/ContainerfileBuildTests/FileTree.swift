import CLinux
import Foundation
import Glibc
import OCIModel
import SystemPackage

/// What lies in a folder, one line for each path, to be compared: kind, mode, owner, attributes, content, hard links.
struct FileTree: Equatable {
    var lines: [String: String] = [:]

    init(_ root: FilePath) throws {
        var links: [ino_t: String] = [:]
        try walk(root, "", &links)
    }

    private mutating func walk(_ folder: FilePath, _ inside: String, _ links: inout [ino_t: String]) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.string).sorted() {
            let path = folder.appending(name)
            var status = stat()
            guard lstat(path.string, &status) == 0 else { throw Errno(rawValue: errno) }
            var line = "\(String(status.st_mode, radix: 8)) \(status.st_uid):\(status.st_gid)"
            switch status.st_mode & S_IFMT {
            case S_IFREG:
                let data = try Data(contentsOf: URL(fileURLWithPath: path.string))
                line += " \(data.count) \(Digest.sha256(Array(data)).short)"
                if status.st_nlink > 1 {
                    line += " = \(links[status.st_ino] ?? "")"
                    links[status.st_ino] = links[status.st_ino] ?? "\(inside)/\(name)"
                }
            case S_IFLNK: line += " -> " + (try FileManager.default.destinationOfSymbolicLink(atPath: path.string))
            default: break
            }
            lines["\(inside)/\(name)"] = line + Self.attributes(path)
            if status.st_mode & S_IFMT == S_IFDIR { try walk(path, "\(inside)/\(name)", &links) }
        }
    }

    private static func attributes(_ path: FilePath) -> String {
        var list = [CChar](repeating: 0, count: 64 << 10)
        let count = path.string.withCString { llistxattr($0, &list, list.count) }
        guard count > 0 else { return "" }
        return list[..<count].split(separator: 0).map { String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self) }
            .filter { $0.hasPrefix("user.") || $0 == "security.capability" }.sorted().map { name in
                var value = [UInt8](repeating: 0, count: 64 << 10)
                let size = lgetxattr(path.string, name, &value, value.count)
                return " \(name)=\(Digest.sha256(Array(value[..<max(0, size)])).short)"
            }.joined()
    }

    /// What differs, a line for each path.
    func differences(from other: FileTree) -> [String] {
        Set(lines.keys).union(other.lines.keys).sorted().compactMap { path in
            lines[path] == other.lines[path] ? nil : "\(path): \(lines[path] ?? "nothing") | \(other.lines[path] ?? "nothing")"
        }
    }
}
