import Foundation
public import SystemPackage

/// How much room the file system of the data directory has left.
public struct DiskSpace: Sendable {
    let folder: FilePath
    /// Bytes that must stay free; below that no new run is begun.
    let reserve: Int64

    public init(folder: FilePath, reserve: Int64) {
        self.folder = folder
        self.reserve = reserve
    }

    /// Below that nothing can be counted on, whatever the reserve.
    private static let least: Int64 = 1 << 20

    /// What is wrong and what to do about it; nil when there is room enough, or when the system does not tell.
    public func shortage() -> (problem: String, hint: String)? {
        guard let free, free < max(reserve, Self.least) else { return nil }
        return (
            "the disk of \(folder) is full: \(free >> 20) MiB free, \(reserve >> 20) MiB are kept in reserve",
            "free some space, or lower disk.reserve"
        )
    }

    /// There is no room even for what runs already.
    var isExhausted: Bool { free.map { $0 < Self.least } ?? false }

    private var free: Int64? {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder.string)
        return (attributes?[.systemFreeSize] as? NSNumber)?.int64Value
    }
}
