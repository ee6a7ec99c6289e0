import ArgumentParser

struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let a deployment go on that waits for a person.", discussion: "Example: slipway resume prod --project gtin")
    @OptionGroup var place: Place
    func run() async throws { try await place.deploy("resume") }
}

struct Abort: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End the deployment of a stage that waits or is under way; the version before goes on serving.",
        discussion: "Example: slipway abort prod --project gtin")
    @OptionGroup var place: Place
    func run() async throws { try await place.deploy("abort") }
}
