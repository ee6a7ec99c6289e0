import Logging
import OCIModel

extension Push {
    /// Uploads one blob unless the registry has it. A broken transfer is never repeated blindly: the registry is asked
    /// how far the upload is and gets the rest; when it does not know, whether it has the blob, and a new upload begins.
    /// So does an upload that an earlier process left unfinished.
    ///
    /// - Parameters:
    ///   - session: an upload that holds the first bytes of this blob already.
    ///   - isNew: the registry need not be asked whether it has the blob.
    func blob(_ descriptor: Descriptor, continuing session: UploadSession? = nil, isNew: Bool = false) async throws {
        if there.contains(descriptor.digest) { return result.alreadyThere() }
        let note = client.chunks.isLarge(descriptor.size) ? await claimNote(descriptor) : nil
        var transfer = BlobTransfer(push: self, descriptor: descriptor, note: note, session: session ?? note?.record.map(continued), isNew: isNew)
        var highest: Int64 = 0
        let outcome = try await transport.retry.run(progress: { highest }) {
            defer { highest = max(highest, transfer.session?.offset ?? 0) }
            return try await transfer.attempt()
        }
        await note?.remove()
        switch outcome {
        case .alreadyThere: result.alreadyThere()
        case .uploaded: result.uploaded(descriptor.size)
        }
        progress?(
            RegistryProgress(
                digest: descriptor.digest, step: outcome == .uploaded ? .done : .alreadyThere, completed: descriptor.size,
                total: descriptor.size))
    }

    /// Without a journal (a full disk, a read-only store) the push goes on; it only cannot be resumed by others.
    private func claimNote(_ descriptor: Descriptor) async -> UploadNote? {
        guard let journal = source.journal else { return nil }
        do {
            return try await journal.claim(client.host, repository, descriptor.digest)
        } catch {
            transport.logger.warning("\(task): this upload cannot be resumed after a restart: \(error)")
            return nil
        }
    }

    private func continued(_ record: UploadJournal.Record) -> UploadSession {
        UploadSession(
            client: client, repository: repository, scope: scope, task: task, location: record.location,
            offset: record.offset, minimumChunk: record.minimumChunk)
    }
}
