import CLinux
import Foundation
import Glibc
import ServiceLifecycle

/// Gives memory back once the server has nothing to do: free pages of the heap, and the pages of the executable that starting up or
/// the last run have touched. The kernel maps what is needed again from its page cache, in milliseconds.
struct IdleMemory: Service {
    /// How long the server must be idle.
    var patience: Duration = .seconds(2)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var used = Self.processorTime()
            var isTrimmed = false
            while (try? await Task.sleep(for: patience)) != nil {
                let now = Self.processorTime()
                // Waiting for work takes well under a percent of a processor.
                let isIdle = now - used < patience * 0.02
                used = now
                if isIdle, !isTrimmed { Self.trim() }
                isTrimmed = isIdle
            }
        }
    }

    static func processorTime() -> Duration {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        return .seconds(seconds) + .microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }

    /// madvise(2), MADV_DONTNEED: of a private mapping of a file that was never written to, the pages are read again from the file.
    static func trim() {
        _ = malloc_trim(0)
        guard let maps = try? String(decoding: Data(contentsOf: URL(fileURLWithPath: "/proc/self/maps")), as: UTF8.self) else { return }
        for range in fileMappings(maps) {
            guard let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound) else { continue }
            madvise(start, Int(range.upperBound - range.lowerBound), MADV_DONTNEED)
        }
    }

    /// Where files are mapped that cannot have been written to: code and constants of the executable and its libraries (proc(5), maps).
    static func fileMappings(_ maps: String) -> [Range<UInt>] {
        maps.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard fields.count == 6, fields[1] == "r-xp", fields[5].drop(while: { $0 == " " }).hasPrefix("/") else { return nil }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] < ends[1] else { return nil }
            return ends[0]..<ends[1]
        }
    }
}
