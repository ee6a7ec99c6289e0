import Dispatch
import Glibc
import SystemPackage

/// Wakes whoever waits for a file to appear, by inotify(7); no thread waits meanwhile.
enum FolderChanges {
    /// Yields when something appeared in `folder`, and every `interval` whether or not; the first time at once.
    static func watch(_ folder: FilePath, every interval: Duration) -> AsyncStream<Void> {
        AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let changes = Self.source(folder) { continuation.yield() }
            let timer = DispatchSource.makeTimerSource()
            let pause = changes == nil ? min(interval, .milliseconds(20)) : interval
            let seconds = Double(pause.components.seconds) + Double(pause.components.attoseconds) / 1e18
            timer.schedule(deadline: .now() + seconds, repeating: seconds)
            timer.setEventHandler { continuation.yield() }
            timer.activate()
            changes?.activate()
            // The change may have come before the watch.
            continuation.yield()
            let sources = Sources(timer: timer, changes: changes)
            continuation.onTermination = { _ in sources.cancel() }
        }
    }

    /// nil when the machine has no inotify instance left: the timer alone is dearer, not wrong.
    private static func source(_ folder: FilePath, _ handler: @escaping @Sendable () -> Void) -> (any DispatchSourceRead)? {
        let descriptor = inotify_init1(Int32(O_CLOEXEC | O_NONBLOCK))
        guard descriptor >= 0 else { return nil }
        guard inotify_add_watch(descriptor, folder.string, UInt32(IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF)) >= 0 else {
            close(descriptor)
            return nil
        }
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor)
        source.setEventHandler {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while read(descriptor, &buffer, buffer.count) > 0 {}
            handler()
        }
        source.setCancelHandler { close(descriptor) }
        return source
    }

    /// Dispatch sources may be cancelled from any thread (dispatch_source_cancel(3)); nothing else is done with them here.
    private struct Sources: @unchecked Sendable {
        let timer: any DispatchSourceTimer
        let changes: (any DispatchSourceRead)?

        func cancel() {
            timer.cancel()
            changes?.cancel()
        }
    }
}
