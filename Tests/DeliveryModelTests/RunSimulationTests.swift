import Simulation
import Testing

/// `make simulate` is the longer form.
@Suite struct RunSimulationTests {
    @Test func nothingRunsTwiceWhateverHappens() async throws {
        var ends: Set<String> = []
        var (takeOvers, refusals, lost) = (0, 0, 0)
        for seed in 0..<4000 as Range<UInt64> {
            let summary = try RunSimulation.run(seed: seed)
            ends.insert(summary.end)
            takeOvers += summary.takeOvers
            refusals += summary.refusals
            lost += summary.lostSteps
            // Others need a thread too.
            if seed % 50 == 0 { await Task.yield() }
        }
        // The seeds reach what is to be survived.
        #expect(ends == ["succeeded", "failed", "cancelled"])
        #expect(takeOvers > 4000 && refusals > 100 && lost > 20)
    }

    @Test func aSeedReproduces() throws {
        for seed in [7, 77, 777] as [UInt64] {
            let (first, second) = (try RunSimulation.run(seed: seed), try RunSimulation.run(seed: seed))
            #expect(first.things == second.things && first.end == second.end && first.takeOvers == second.takeOvers)
        }
    }
}
