import FoundationEssentials
import NIOHTTP1
import OCIModel

extension DockerTarget {
    /// The image of an instance, on the host afterwards: pulled by its digest unless it is there already.
    func image(of instance: InstanceSpec, on api: DockerAPI) async throws -> (reference: String, config: DockerValues.Image.Config) {
        let source = try await source(instance.image, api.host)
        let reference = source.reference(instance.image)
        if let found = try await inspect(image: reference, api) { return (reference, found) }
        var headers: [(String, String)] = []
        if let login = source.login {
            let value = DockerValues.Login(username: login.user, password: login.password, serveraddress: source.registry)
            // RFC 4648, 5: the URL-safe alphabet.
            let text = try JSONEncoder().encode(value).base64EncodedString()
            headers.append(("X-Registry-Auth", String(text.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })))
        }
        var problem: String?
        do {
            try await api.stream(
                .POST, "/images/create", query: [("fromImage", source.name), ("tag", instance.image.description)], headers: headers,
                timeout: settings.pullTimeout
            ) { line in
                if let error = try? JSONDecoder().decode(DockerValues.Progress.self, from: Data(line)).error { problem = error }
            }
        } catch let error as DeployerError where error.code == .instanceFailed {
            problem = error.message
        }
        if problem == nil, let found = try await inspect(image: reference, api) { return (reference, found) }
        throw DeployerError(
            .instanceFailed, "the docker host \(api.host) cannot pull \(reference): \(problem ?? "it is not there afterwards")",
            hint: "can that host reach the registry \(source.registry), and does it log in? see `targets` in docs/server.md")
    }

    private func inspect(image reference: String, _ api: DockerAPI) async throws -> DockerValues.Image.Config? {
        // The slashes of the name stay: the API takes the rest of the path.
        let path = reference.split(separator: "/").map { DockerHost.escape(String($0)) }.joined(separator: "/")
        return try await api.get("/images/\(path)/json", as: DockerValues.Image.self).map { $0.config ?? .init() }
    }
}
