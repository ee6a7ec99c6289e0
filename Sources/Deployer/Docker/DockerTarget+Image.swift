import FoundationEssentials
import NIOHTTP1
public import OCIModel

extension DockerTarget {
    /// The image of an instance, on the host afterwards: pulled by its digest unless it is there already.
    func image(of instance: InstanceSpec, on api: DockerAPI) async throws -> (reference: String, config: DockerValues.Image.Config) {
        let source = try await source(instance.image, api.host)
        let reference = source.reference(instance.image)
        if let found = try await inspect(image: reference, api) { return (reference, found) }
        try await note(reference, instance.image, api)
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
        return try await api.get("/images/\(Self.path(reference))/json", as: DockerValues.Image.self).map { $0.config ?? .init() }
    }

    /// Takes away the images that were pulled for instances of this server and are not in `digests`; what a container of anybody is
    /// made of stays.
    public func removeImages(except digests: Set<Digest>) async throws {
        _ = try await onAnswering { api in
            for note in try await self.volumes(["\(Self.ownerLabel)=\(self.settings.owner)", Self.imageLabel], api) {
                guard let text = note.labels?[Self.imageLabel], let reference = note.labels?[Self.referenceLabel],
                    let digest = try? Digest(parsing: text), !digests.contains(digest)
                else { continue }
                // 409: a container is made of it.
                let answer = try await api.ask(.DELETE, "/images/\(Self.path(reference))", timeout: .seconds(120), expecting: [404, 409])
                if answer?.status != 409 { try await self.drop(note.name, api, notAfter: nil) }
            }
        }
    }

    private static let imageLabel = "slipway.image"
    private static let referenceLabel = "slipway.reference"

    /// Images bear no marks of ours: that one was pulled is told by a volume beside it, before it is.
    private func note(_ reference: String, _ digest: Digest, _ api: DockerAPI) async throws {
        let volume = DockerValues.Volume(
            name: "slipway-image-\(settings.owner)-\(digest.short)",
            labels: [Self.ownerLabel: settings.owner, Self.imageLabel: digest.description, Self.referenceLabel: reference])
        _ = try await api.ask(.POST, "/volumes/create", body: volume)
    }

    /// The slashes of the name stay: the API takes the rest of the path.
    private static func path(_ reference: String) -> String {
        reference.split(separator: "/").map { DockerHost.escape(String($0)) }.joined(separator: "/")
    }
}
