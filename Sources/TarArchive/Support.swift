import CLibarchive
import Glibc
import SystemPackage

/// Runs `body` with a UTF-8 LC_CTYPE on this thread only: libarchive converts pax names through the locale, and
/// a server often starts in the C locale.
func withUTF8Names<T>(_ body: () throws -> T) throws -> T {
    guard let locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nil) else {
        throw TarError(code: .unavailable, message: "the locale C.UTF-8 is missing", hint: "install the package libc-bin")
    }
    let previous = uselocale(locale)
    defer {
        uselocale(previous)
        freelocale(locale)
    }
    return try body()
}

/// The text libarchive left with its last failure.
func archiveMessage(_ archive: OpaquePointer) -> String {
    archive_error_string(archive).map { String(cString: $0) } ?? "unknown error"
}

func systemFailure(_ action: String, _ name: String, _ code: Int32 = errno) -> TarError {
    let hint =
        switch code {
        case ENOSPC, EDQUOT: "free some disk space"
        case EACCES, EPERM: "check who owns the folder, or run as root"
        case EMFILE, ENFILE: "raise the limit of open files"
        default: "check the disk and the path"
        }
    return TarError(code: .fileSystem, message: "cannot \(action) \(name): \(String(cString: strerror(code)))", hint: hint)
}

/// An open descriptor, closed once when it goes out of scope.
struct OpenFile: ~Copyable {
    let descriptor: Int32
    init(adopting descriptor: Int32) { self.descriptor = descriptor }
    init(_ path: FilePath, _ flags: Int32, mode: mode_t = 0o644) throws {
        descriptor = path.withPlatformString { Glibc.open($0, flags | O_CLOEXEC, mode) }
        guard descriptor >= 0 else { throw systemFailure("open", path.string) }
    }
    deinit { close(descriptor) }
}

func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, name: String) throws {
    var rest = bytes
    while let base = rest.baseAddress, !rest.isEmpty {
        let count = write(descriptor, base, rest.count)
        if count < 0 {
            if errno == EINTR { continue }
            throw systemFailure("write", name)
        }
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
}

/// Fills `buffer` as far as the file goes; returns the number of bytes read.
func readFully(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, name: String) throws -> Int {
    var filled = 0
    while filled < buffer.count {
        let count = read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
        if count < 0 {
            if errno == EINTR { continue }
            throw systemFailure("read", name)
        }
        if count == 0 { break }
        filled += count
    }
    return filled
}
