import PipelineFile
import Testing

@testable import PipelineEngine

@Suite struct RerunTests {
    @Test func whatFollowsAStepIsAllThatDependsOnIt() {
        func step(_ name: String, _ needs: String...) -> StepPlan {
            StepPlan(name: name, image: "busybox", commands: ["true"], dependsOn: needs)
        }
        // In an order in which what depends may stand before what it depends on.
        let plan = PipelinePlan(
            name: "a", steps: [step("end", "left", "right"), step("left", "first"), step("right", "first"), step("first"), step("alone")])
        #expect(plan.following("first") == ["first", "left", "right", "end"])
        #expect(plan.following("left") == ["left", "end"])
        #expect(plan.following("alone") == ["alone"])
    }
}
