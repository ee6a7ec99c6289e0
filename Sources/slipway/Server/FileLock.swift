import Foundation
import SystemPackage

/// A file that one process holds at a time, or several that share it; the kernel lets go of it when a process ends.
struct FileLock {
    private let descriptor: FileDescriptor

    /// - Parameters:
    ///   - shared: others may share it too.
    ///   - busy: thrown when another process has it.
    ///   - unwritable: makes what is thrown when the file cannot be made.
    init(_ file: FilePath, shared: Bool = false, ifBusy busy: Failure, ifUnwritable unwritable: (any Error) -> Failure) throws {
        do {
            descriptor = try FileDescriptor.open(
                file, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
        } catch {
            throw unwritable(error)
        }
        guard flock(descriptor.rawValue, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else { throw busy }
    }
}
