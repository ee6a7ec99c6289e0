import CLinux
import Glibc
import SystemPackage

/// The files in which a router writes one line for each request: `traffic.log`, and the one before as `traffic.<number>.log`.
///
/// A file rather than a socket: what is written while no server listens is read later, by this one or another. The number
/// of the current file is that of the one before plus one, so it changes in the same instant as the file is put aside. Blocks.
struct TrafficLog {
    static let file = "traffic.log"

    let folder: FilePath

    /// The end of what is written by now.
    func mark() throws -> TrafficMark {
        try locked {
            let current = try number()
            if let size = size(of: path(current, current: current)) { return TrafficMark(log: current, offset: size) }
            // The router still writes into the one that was put aside.
            guard let size = size(of: path(current - 1, current: current)) else { return TrafficMark(log: current, offset: 0) }
            return TrafficMark(log: current - 1, offset: size)
        }
    }

    /// Opens the logs from a number on; the caller closes them.
    func open(from first: Int) throws -> [(number: Int, file: FileDescriptor)] {
        try locked {
            let current = try number()
            return try [current - 1, current].filter { $0 >= first }.compactMap { number in
                do {
                    return (number, try FileDescriptor.open(path(number, current: current), .readOnly, options: [.closeOnExec]))
                } catch Errno.noSuchFileOrDirectory {
                    return nil
                }
            }
        }
    }

    /// Puts the current log aside when it is larger than `limit` bytes.
    /// - Returns: whether the router has to open its logs anew.
    func rotate(limit: Int64) throws -> Bool {
        try locked {
            let current = try number()
            // A router that was not told goes on with the one that was put aside.
            guard let size = size(of: path(current, current: current)) else { return current > 1 }
            guard size > limit else { return false }
            let aside = folder.appending("traffic.\(current).log")
            guard rename(path(current, current: current).string, aside.string) == 0 else { throw Errno(rawValue: errno) }
            for old in try asides() where old < current { unlink(folder.appending("traffic.\(old).log").string) }
            return true
        }
    }

    /// For a router that cannot open its log anew: gives back the room of all but the last `limit` bytes or so. The file keeps its
    /// length, so marks stay true; see fallocate(2), FALLOC_FL_PUNCH_HOLE.
    func trim(limit: Int64, also other: String? = nil) throws {
        try locked {
            let current = try number()
            for path in [path(current, current: current)] + (other.map { [folder.appending($0)] } ?? []) {
                try Self.trim(path, limit: limit)
            }
        }
    }

    private static func trim(_ path: FilePath, limit: Int64) throws {
        var status = stat()
        guard stat(path.string, &status) == 0, Int64(status.st_blocks) * 512 > 2 * limit else { return }
        let end = (Int64(status.st_size) - limit) & ~4095
        guard end > 0 else { return }
        let file = try FileDescriptor.open(path, .writeOnly, options: [.closeOnExec])
        try file.closeAfter {
            guard fallocate(file.rawValue, clinux_FALLOC_FL_KEEP_SIZE | clinux_FALLOC_FL_PUNCH_HOLE, 0, off_t(end)) == 0 else {
                throw Errno(rawValue: errno)
            }
        }
    }

    private func locked<T>(_ body: () throws -> T) throws -> T {
        do {
            return try ProcessLock.holding(folder.appending("traffic.lock"), body)
        } catch let error as Errno {
            throw DeployerError(
                .stateUnusable, "the log of requests in \(folder) cannot be used: \(error)",
                hint: "check free space and permissions of the folder")
        }
    }

    private func number() throws -> Int { (try asides().max() ?? 0) + 1 }

    private func path(_ number: Int, current: Int) -> FilePath {
        folder.appending(number == current ? Self.file : "traffic.\(number).log")
    }

    private func asides() throws -> [Int] {
        guard let folder = opendir(folder.string) else { throw Errno(rawValue: errno) }
        defer { closedir(folder) }
        var numbers: [Int] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard name.hasPrefix("traffic."), name.hasSuffix(".log"), let number = Int(name.dropFirst(8).dropLast(4)), number > 0
            else { continue }
            numbers.append(number)
        }
        return numbers
    }

    private func size(of path: FilePath) -> Int64? {
        var status = stat()
        return stat(path.string, &status) == 0 ? Int64(status.st_size) : nil
    }
}
