import ImageStore
import OCIModel
import SystemPackage

/// The new image's config: the base's, with what the request says on top (image-spec, config.md).
enum ConfigMerge {
    static func config(_ request: BuildRequest, base: LoadedImage?) throws -> ImageConfig {
        let created = rfc3339(request.timestamp)
        var execution = base?.config.config ?? ExecutionConfig()
        if let entrypoint = request.entrypoint {
            execution.entrypoint = entrypoint
            execution.cmd = nil
        }
        if let cmd = request.cmd { execution.cmd = cmd }
        if let user = request.user { execution.user = user }
        if let directory = request.workingDirectory {
            execution.workingDir = directory.hasPrefix("/") ? directory : "\(execution.workingDir ?? "")/\(directory)"
        }
        execution.env = try environment(execution.env ?? [], request.environment)
        for port in request.ports { execution.exposedPorts = (execution.exposedPorts ?? [:]).merging([try portName(port): .init()]) { $1 } }
        if !request.labels.isEmpty { execution.labels = (execution.labels ?? [:]).merging(request.labels) { $1 } }
        var config = ImageConfig(
            created: created, architecture: request.platform.architecture, os: request.platform.os,
            variant: base?.config.variant ?? request.platform.variant, config: execution,
            rootfs: RootFS(diffIDs: base?.config.rootfs.diffIDs ?? []))
        // Every layer must have its line: tools that unpack count them.
        var history = base?.config.history ?? []
        let missing = config.rootfs.diffIDs.count - history.count { $0.emptyLayer != true }
        for _ in 0..<max(0, missing) { history.append(History(comment: "base layer")) }
        for copy in request.copies {
            var source = copy.source
            // A context of "/" is no context: where the files were on this machine must not change the digest.
            let inside = !request.context.components.isEmpty && source.removePrefix(request.context)
            let name = inside ? source.string : copy.source.lastComponent?.string ?? ""
            history.append(
                History(created: created, createdBy: "slipway: copy \(name.isEmpty ? "." : name) to \(copy.destination)"))
        }
        if request.copies.isEmpty {
            history.append(History(created: created, createdBy: "slipway: config", emptyLayer: true))
        }
        config.history = history
        return config
    }

    private static func environment(_ base: [String], _ changes: [String: String]) throws -> [String]? {
        for name in changes.keys where name.isEmpty || name.contains("=") || name.utf8.contains(0) {
            throw ImageBuilderError(
                code: .invalidRequest, message: "'\(name)' is not a variable name", hint: "use letters, digits and '_'")
        }
        var left = changes
        var result = base.map { line in
            let name = String(line.prefix { $0 != "=" })
            return left.removeValue(forKey: name).map { "\(name)=\($0)" } ?? line
        }
        result += left.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return result.isEmpty ? nil : result
    }

    private static func portName(_ text: String) throws -> String {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let number = UInt16(parts[0]), number > 0,
            parts.count == 1 || ["tcp", "udp", "sctp"].contains(parts[1])
        else {
            throw ImageBuilderError(code: .invalidRequest, message: "'\(text)' is not a port", hint: "write 80, 80/tcp or 53/udp")
        }
        return "\(number)/\(parts.count == 2 ? String(parts[1]) : "tcp")"
    }

    /// The same layer under the name OCI gives it: a manifest must not mix the two families.
    static func ociLayer(_ layer: Descriptor) throws -> Descriptor {
        var result = layer
        switch layer.mediaType {
        case MediaType.ociLayer, MediaType.ociLayerGzip, MediaType.ociLayerZstd: break
        case MediaType.dockerLayerGzip: result.mediaType = MediaType.ociLayerGzip
        case "application/vnd.docker.image.rootfs.diff.tar": result.mediaType = MediaType.ociLayer
        case "application/vnd.docker.image.rootfs.diff.tar.zstd": result.mediaType = MediaType.ociLayerZstd
        default:
            throw ImageStoreError(
                code: .unsupported, message: "the base has a layer of type \(layer.mediaType)",
                hint: "use a base with plain, gzip or zstd layers")
        }
        return result
    }

    /// Seconds since 1970 as `2023-11-14T22:13:20Z`.
    static func rfc3339(_ seconds: Int64) -> String {
        let clamped = max(0, min(seconds, 253_402_300_799))
        let (days, rest) = clamped.quotientAndRemainder(dividingBy: 86_400)
        // Days to a date, counting years from March (the leap day comes last).
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let calendarMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (calendarMonth <= 2 ? 1 : 0)
        func pad(_ value: Int64, _ width: Int = 2) -> String {
            String(repeating: "0", count: max(0, width - String(value).count)) + String(value)
        }
        return "\(pad(year, 4))-\(pad(calendarMonth))-\(pad(day))T\(pad(rest / 3600)):\(pad(rest / 60 % 60)):\(pad(rest % 60))Z"
    }
}
