public import ImageStore
public import OCIModel
public import RegistryClient

/// The registries outside: where images named with a host come from and go to. What may pass, because the registry is
/// down say, is thrown as ``EngineError/Code/registryUnreachable``.
public protocol Registries: Sendable {
    /// Fetches an image into the store under its repository and returns the digest of its manifest.
    func pull(_ reference: ImageReference, into store: ImageStore) async throws -> Digest
    /// Sends layers there while they are built, ahead of the push; nil for an image that names no registry.
    func uploads(from store: ImageStore, to reference: ImageReference, base: ImageReference?) throws -> LayerUploads?
    /// Sends an image: blobs, manifest by digest, tag last.
    ///
    /// - Parameter mayTag: called right before the tag is sent; what it throws keeps the tag as it is.
    func push(
        _ image: Digest, from store: ImageStore, to reference: ImageReference, ahead: LayerUploads?,
        mayTag: @escaping @Sendable () throws -> Void
    ) async throws
}

/// Why the engine could not go on, in words for the user.
public struct EngineError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case imageMissing, registryUnreachable, notPromotable, notRepeatable, unknownStage, nothingToRollBackTo, nothingUnderWay, secretMissing,
            ambiguousStage, unknownJob, nothingLive, busy
    }

    public let code: Code
    public let message: String
    public let hint: String

    public init(_ code: Code, _ message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    public var description: String { "\(message) (\(hint))" }
}
