import ArgumentParser
import DeliveryModel
import Foundation
import PipelineEngine
import WebServer

struct Why: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say in one line what is live in a stage, and what keeps anything newer from it.",
        discussion: "Example: slipway why prod --project gtin")
    @OptionGroup var place: Place

    func run() async throws {
        let client = Client()
        let answer: WhyValue = try await client.get(try await place.path("why", client))
        if place.json { return try printJSON(answer) }
        print("\(answer.project)/\(answer.stage): \(answer.why)")
    }
}

struct Plan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a promotion to a stage would change.",
        discussion: """
            Example: slipway plan prod --project gtin

            The image, the commits that are not live yet, settings and variables (of secrets only the names), who has to agree, and \
            whether there is a freeze.
            """)
    @OptionGroup var place: Place

    func run() async throws {
        let client = Client()
        let plan: PromotionPlan = try await client.get(try await place.path("plan", client))
        if place.json { return try printJSON(plan) }
        print("\(plan.project)/\(plan.stage)")
        print("  image  \(plan.live.map(text) ?? "nothing") → \(text(plan.next))")
        for commit in plan.commits ?? [] { print("  commit \(commit.id.prefix(7)) \(commit.subject) (\(commit.author))") }
        if let note = plan.commitsNote { print("  commit \(note)") }
        for change in plan.changes { print("  \(change.isVariable ? "env   " : "config") \(change.text)") }
        if plan.changes.isEmpty { print("  config Nothing but the image.") }
        print("  needs  \(plan.approvalText ?? "Nobody has to agree.")")
        if let freeze = plan.freezeText { print("  needs  \(freeze)") }
    }

    private func text(_ version: StageFacts.Version) -> String {
        "\(version.digest.dropFirst(7).prefix(12)) (\(version.commit.prefix(7)) \(version.subject))"
    }
}
