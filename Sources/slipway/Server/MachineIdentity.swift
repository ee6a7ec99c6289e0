import Foundation
import OCIModel
import SystemPackage

/// Which machine a data directory belongs to: containers and router are described there as they are on this one.
///
/// The directory keeps a hash of machine-id(5), which is not to be shown itself. Where the system has none, in a container for example,
/// nothing is kept or compared.
struct MachineIdentity {
    /// In the data directory.
    static let fileName = "machine"

    let value: String

    /// This machine's; nil when it has none.
    init?(of file: FilePath = "/etc/machine-id") {
        let text = (try? String(contentsOfFile: file.string, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        // During the first boot it says "uninitialized".
        guard text.count == 32, text.allSatisfy(\.isHexDigit) else { return nil }
        value = Digest.sha256(Array("slipway data directory of \(text.lowercased())".utf8)).hex
    }
}

extension DataFolder {
    /// Sees that the directory is this machine's, and makes a new one so.
    ///
    /// - Parameter moved: the other machine is gone for good; the directory is this machine's from now on.
    /// - Throws: ``Failure`` when it came from another machine.
    func claim(for machine: MachineIdentity?, moved: Bool) throws {
        guard let machine else { return }
        let file = path.appending(MachineIdentity.fileName)
        let known = FileManager.default.contents(atPath: file.string).map {
            String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        if known == machine.value { return }
        if known != nil, !moved {
            throw Failure(
                "the data directory \(path) was last used on another machine",
                hint: """
                    if that machine still runs a server on it, leave this one off: both would deliver. If it is gone, start once with \
                    --moved: what ran there counts as lost. docs/server.md#bad-days
                    """)
        }
        try writePrivate(Data("\(machine.value)\n".utf8), to: file)
    }
}
