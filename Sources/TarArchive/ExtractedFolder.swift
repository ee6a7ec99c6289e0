import CLibarchive
import Glibc
public import SystemPackage

/// Folders that hold what an image brought along.
public enum ExtractedFolder {
    /// Removes a folder with everything below, never following a link out of it. Nothing there is fine. Blocking.
    public static func remove(_ path: FilePath) throws {
        guard let name = path.lastComponent else { throw systemFailure("remove", path.string, EINVAL) }
        let parent = path.removingLastComponent()
        let folder = try OpenFile(parent.isEmpty ? "." : parent, O_RDONLY | O_DIRECTORY)
        try FolderRemoval.remove(folder.descriptor, name)
    }

    /// Brings everything on the folder's file system to disk: one call instead of one per file. Blocking.
    public static func sync(_ path: FilePath) throws {
        let folder = try OpenFile(path, O_RDONLY | O_DIRECTORY)
        guard syncfs(folder.descriptor) == 0 else { throw systemFailure("sync", path.string) }
    }
}
