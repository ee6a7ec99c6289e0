import Foundation
import StateSQLite
import StateStore
import SystemPackage
import Testing

extension EndToEnd {
    /// Lets the server's wall clock, and nothing else, be off by what a file says.
    private static let shim = #"""
        #include <fcntl.h>
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>
        static long offset(void) {
            char text[32] = {0};
            int file = syscall(SYS_openat, AT_FDCWD, OFFSET_FILE, O_RDONLY, 0);
            if (file < 0) return 0;
            long count = syscall(SYS_read, file, text, 31);
            syscall(SYS_close, file);
            return count > 0 ? atol(text) : 0;
        }
        int clock_gettime(clockid_t clock, struct timespec *time) {
            int result = syscall(SYS_clock_gettime, clock, time);
            if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += offset();
            return result;
        }
        int gettimeofday(struct timeval *time, void *zone) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            time->tv_sec = now.tv_sec;
            time->tv_usec = now.tv_nsec / 1000;
            return 0;
        }
        time_t time(time_t *place) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (place) *place = now.tv_sec;
            return now.tv_sec;
        }
        """#

    private func withMovableClock(_ server: ServerFixture, _ body: ((Int) throws -> Void) async throws -> Void) async throws {
        let source = server.folder.appendingPathComponent("shim.c"), library = server.folder.appendingPathComponent("shim.so")
        let file = server.folder.appendingPathComponent("offset")
        try Data(Self.shim.utf8).write(to: source)
        try Data("0".utf8).write(to: file)
        let built = try await command(
            "/usr/bin/env", ["clang", "-shared", "-fPIC", "-O1", "-DOFFSET_FILE=\"\(file.path)\"", "-o", library.path, source.path])
        try #require(built.status == 0, "clang comes with the Swift toolchain: \(built.errors)")
        server.environment["LD_PRELOAD"] = library.path
        try await server.stop()
        try await server.start()
        try await body { try Data("\($0)".utf8).write(to: file) }
    }

    @Test("The wall clock is set forward and back by an hour: no lease is lost, no step times out, webhooks start runs at once, it is said once")
    func clockJumps() async throws {
        let steps = """
              - name: test
                image: library/busybox:1
                timeout: 30s
                commands: [echo begun, sleep 4, mkdir -p dist, cp -R www dist/]
            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            try await withMovableClock(server) { set in
                for (version, offset) in [("1", 3600), ("2", -3600)] {
                    let commit = try await repository.commit(version: version, pipeline: SampleRepository.pipeline(steps: steps))
                    try await server.push(commit, to: project)
                    let run = try await eventually("the step has begun") {
                        guard let run = try await server.runs().first(where: { $0.commit == commit }) else { return nil as Int? }
                        return try await server.log(of: run.id).contains("[test] begun") ? run.id : nil
                    }
                    try set(offset)
                    let finished = try await server.finishedRun(of: commit)
                    #expect(finished.state == "succeeded", "\(finished.error ?? "")")
                    try await server.live(#require(finished.digest), in: "dev")
                    let log = try await server.log(of: run)
                    #expect(log.components(separatedBy: "[test] begun\n").count == 2, "\(log)")
                    // The clock is off now; what comes is worked on as ever, also by a server that starts anew.
                    if offset < 0 {
                        try await server.kill9()
                        try await server.start()
                    }
                    let next = try await repository.commit(version: "\(version)b", pipeline: SampleRepository.pipeline(steps: steps))
                    _ = try await server.deliverToDev(next, of: project)
                    // The last one would be a second jump forward.
                    if offset > 0 { try set(0) }
                }
                // With a clock so late that nothing is in its future: opening changes nothing.
                let store = try SQLiteStore(file: FilePath(server.data.path).appending("slipway.db")) { 4_000_000_000 }
                let runs = try await store.runs(project: "sample", limit: 10)
                #expect(runs.count == 4)
                for run in runs {
                    #expect(run.epoch == 1, "run \(run.id) was taken over")
                    let seconds = (run.finishedAt ?? 0) - (run.startedAt ?? 0)
                    #expect(seconds > 3 && seconds < 60, "run \(run.id) took \(seconds) s")
                }
            }
            let log = text(server.folder, "server.log")
            #expect(log.components(separatedBy: "was set forward by 3600 s").count == 2, "\(log)")
            #expect(!log.contains("not ours any more") && !log.contains("timed out"))
        }
    }
}
