import ContainerRuntime
import Foundation
import Glibc
import SystemPackage
import Testing

import struct ContainerRuntime.ExitStatus

/// Needs root, runc, conmon, containernetworking-plugins and busybox-static.
struct ReviveTests {
    @Test func whatHasEndedBeginsAnewAtItsAddress() async throws {
        try await Machine.with { machine in
            let runtime = machine.runtime
            var spec = machine.spec("a", "sleep 600")
            spec.network = .bridge
            let first = try await runtime.start(spec)
            let address = try #require(first.address)
            spec.address = address
            // Running: nothing happens.
            #expect(try await runtime.revive(spec) { true } == first)
            // The next address would be another one.
            var other = machine.spec("b", "sleep 600")
            other.network = .bridge
            #expect(try await runtime.start(other).address != address)
            try await runtime.signal("a", SIGKILL)
            _ = try await runtime.waitForExit("a")
            #expect(try await runtime.revive(spec) { false } == nil)
            #expect(try await runtime.observe("a")?.state == .exited(ExitStatus(code: 137)))
            // This machine would send to the interface that is gone, had it not forgotten that.
            let gone = "02:00:00:00:00:01"
            let ip = Process()
            ip.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
            ip.arguments = ["neighbour", "replace", address, "lladdr", gone, "dev", machine.settings.bridge, "nud", "reachable"]
            try ip.run()
            ip.waitUntilExit()
            #expect(text("/proc/net/arp").contains(gone))
            let second = try #require(try await runtime.revive(spec) { true })
            #expect(!text("/proc/net/arp").contains(gone))
            #expect(second.state == .running && second.address == address && second.pid != first.pid)
            // Gone altogether, as after a restart of the machine.
            try await runtime.remove("a")
            #expect(try await runtime.revive(spec) { true }?.address == address)
        }
    }

    @Test func anAddressThatSomebodyHasIsReplaced() async throws {
        try await Machine.with { machine in
            let runtime = machine.runtime
            var first = machine.spec("a", "sleep 600")
            first.network = .bridge
            let taken = try #require(try await runtime.start(first).address)
            var second = machine.spec("b", "sleep 600")
            second.network = .bridge
            second.address = taken
            let address = try #require(try await runtime.start(second).address)
            #expect(address != taken)
            // Of no use on this bridge.
            var third = machine.spec("c", "sleep 600")
            third.network = .bridge
            third.address = "192.0.2.1"
            let last = try #require(try await runtime.start(third).address)
            #expect(Set([taken, address, last]).count == 3 && last != "192.0.2.1")
            third.address = "10.0.0.1;K8S_X=y"
            await #expect(throws: ContainerError.self) { try await runtime.start(third) }
        }
    }

    @Test func nobodyStartsWhatIsBeingLookedAt() async throws {
        try await Machine.with { machine in
            let runtime = machine.runtime
            #expect(try await runtime.alone(with: "a") { $0 } == nil)
            let isLooking = DispatchSemaphore(value: 0)
            async let looked = runtime.alone(with: "a") { seen in
                isLooking.signal()
                usleep(300_000)
                return (seen, ContinuousClock.now)
            }
            while isLooking.wait(timeout: .now()) == .timedOut { try await Task.sleep(for: .milliseconds(5)) }
            _ = try await runtime.start(machine.spec("a", "sleep 600"))
            let started = ContinuousClock.now
            let (seen, ended) = try await looked
            #expect(seen == nil && ended < started)
        }
    }
}
