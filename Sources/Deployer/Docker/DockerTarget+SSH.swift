public import ServiceLifecycle

extension DockerTarget: Service {
    /// Keeps the connections to hosts that are reached by ssh, and makes those again that end. Other hosts need none. Ends with its task, or
    /// when its service group is shut down; nobody may ask the target any more then.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                for forward in apis.compactMap(\.forward) { group.addTask { await forward.run() } }
            }
        }
        try? await gracefulShutdown()
    }
}
