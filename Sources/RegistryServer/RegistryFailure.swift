import HTTPTypes
import Hummingbird
import ImageStore
import NIOCore
import OCIModel

/// An answer that is an error, in the form of the distribution-spec, "Error Codes".
struct RegistryFailure: Error, Sendable {
    enum Code: String, Sendable {
        case blobUnknown = "BLOB_UNKNOWN"
        case blobUploadInvalid = "BLOB_UPLOAD_INVALID"
        case blobUploadUnknown = "BLOB_UPLOAD_UNKNOWN"
        case digestInvalid = "DIGEST_INVALID"
        case manifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
        case manifestInvalid = "MANIFEST_INVALID"
        case manifestUnknown = "MANIFEST_UNKNOWN"
        case nameInvalid = "NAME_INVALID"
        case nameUnknown = "NAME_UNKNOWN"
        case sizeInvalid = "SIZE_INVALID"
        case unauthorized = "UNAUTHORIZED"
        case denied = "DENIED"
        case unsupported = "UNSUPPORTED"
        case tooManyRequests = "TOOMANYREQUESTS"
        case unknown = "UNKNOWN"
    }

    let status: HTTPResponse.Status
    let code: Code
    let message: String
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ code: Code, _ message: String, headers: HTTPFields = [:]) {
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
    }

    /// What a failure of the store, of a value or of another handler means to a registry client. Nil: unexpected.
    init?(_ error: any Error) {
        switch error {
        case let failure as RegistryFailure: self = failure
        case let error as ImageStoreError: self.init(store: error)
        case let error as OCIError:
            switch error.code {
            case .invalidDigest: self.init(.badRequest, .digestInvalid, error.description)
            case .invalidRepository, .invalidReference: self.init(.badRequest, .nameInvalid, error.description)
            case .invalidTag, .invalidDocument: self.init(.badRequest, .manifestInvalid, error.description)
            }
        case let error as HTTPError:
            let code: Code =
                switch error.status {
                case .unauthorized: .unauthorized
                case .forbidden: .denied
                case .tooManyRequests: .tooManyRequests
                default: .unknown
                }
            self.init(error.status, code, error.body ?? error.status.reasonPhrase, headers: error.headers)
        default: return nil
        }
    }

    private init(store error: ImageStoreError) {
        switch error.code {
        case .incomplete: self.init(.notFound, .manifestBlobUnknown, error.description)
        case .notFound: self.init(.notFound, .blobUnknown, error.description)
        case .digestMismatch: self.init(.badRequest, .digestInvalid, error.description)
        case .sizeMismatch: self.init(.contentTooLarge, .sizeInvalid, error.description)
        case .rangeNotSatisfiable: self.init(.rangeNotSatisfiable, .blobUploadInvalid, error.description)
        case .busy: self.init(.conflict, .blobUploadInvalid, error.description)
        default: self.init(.internalServerError, .unknown, "the registry cannot read or write its store")
        }
    }

    private struct Body: Encodable {
        struct Entry: Encodable {
            let code: String
            let message: String
        }
        let errors: [Entry]
    }

    var response: Response {
        let body = Body(errors: [.init(code: code.rawValue, message: message)])
        let bytes = (try? OCIJSON.encode(body)) ?? []
        var headers = headers
        headers[.contentType] = "application/json"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
