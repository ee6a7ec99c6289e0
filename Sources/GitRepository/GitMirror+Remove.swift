import BlockingQueue
import Glibc
public import SystemPackage

extension GitMirror {
    /// Takes the mirror out of the way, once no fetch is at it, and returns where it lies now, for removal. A fetch that comes later
    /// makes a new one.
    public func setAside() async throws -> FilePath {
        let path = path
        return try await queue.run { cancellation in
            try withFolderLock(path, cancellation) {
                let aside = FilePath("\(path).\(String(UInt64.random(in: 0 ... .max), radix: 36)).gone")
                guard rename(path.string, aside.string) == 0 else { throw GitError(system: errno, "cannot move the folder '\(path)'") }
                return aside
            }
        }
    }
}
