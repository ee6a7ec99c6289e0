import CLibarchive
import Dispatch
import OCIModel
import Synchronization

extension LayerCompressor {
    /// Worker threads that compress blocks and, whoever holds the next one in order, write them.
    ///
    /// Unchecked Sendable: `state` is behind a mutex; `hasher`, `size` and `started` are touched only by the thread that set
    /// `state.writing`, and by `close` after `stop` has seen all threads end.
    final class Pipeline: @unchecked Sendable {
        /// A piece of input and its compressed form. Unchecked Sendable: handed from thread to thread through the
        /// mutex; two threads at once only ever read `input`.
        final class Block: @unchecked Sendable {
            let input = UnsafeMutableRawBufferPointer.allocate(byteCount: BlockCompressor.blockSize, alignment: 64)
            /// Empty when nothing is compressed: the input is written as it is.
            let output: UnsafeMutableRawBufferPointer
            var count = 0
            var compressed = 0
            var index = 0
            /// The producer hashes while a worker compresses; the later of the two gives the block back.
            let users = Atomic<Int>(0)

            init(compressed: Bool) {
                output = .allocate(byteCount: compressed ? BlockCompressor.outputSize : 1, alignment: 64)
            }

            deinit {
                input.deallocate()
                output.deallocate()
            }
        }

        private struct State {
            var jobs: [Block] = []
            var finished: [Int: Block] = [:]
            var free: [Block] = []
            var created = 0
            var next = 0
            var writing = false
            var stopping = false
            var failure: (any Error)?
        }

        private let state = Mutex(State())
        private let jobs = DispatchSemaphore(value: 0)
        private let slots = DispatchSemaphore(value: 0)
        private let group = DispatchGroup()
        private let threads: Int
        private let descriptor: Int32
        private let name: String
        private let compression: Compression
        private let consumer: (any TarSink)?
        private var hasher = Digest.Hasher()
        private var size: Int64 = 0
        private var started: Int64 = 0

        init(descriptor: Int32, name: String, compression: Compression, threads: Int, consumer: (any TarSink)?) {
            self.descriptor = descriptor
            self.name = name
            self.compression = compression
            self.consumer = consumer
            self.threads = threads
            for _ in 0..<(2 * threads + 2) { slots.signal() }
            // Serial queues: each has a thread of its own, see `BlockingQueue`.
            for _ in 0..<threads { DispatchQueue(label: "layer-compressor").async(group: group) { self.work() } }
        }

        func freeBlock() throws -> Block {
            slots.wait()
            let (block, failure) = state.withLock { ($0.free.popLast(), $0.failure) }
            if let failure {
                slots.signal()
                throw failure
            }
            return block ?? Block(compressed: compression != .none)
        }

        /// Hands a block to the workers and runs `reading` beside them.
        func submit(_ block: Block, while reading: () -> Void) {
            block.users.store(2, ordering: .relaxed)
            state.withLock { $0.jobs.append(block) }
            jobs.signal()
            reading()
            release(block)
        }

        private func release(_ block: Block) {
            guard block.users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
            block.count = 0
            state.withLock { $0.free.append(block) }
            slots.signal()
        }

        /// Waits until everything submitted is written and all threads have ended. Idempotent.
        func stop() {
            let first = state.withLock { state in
                defer { state.stopping = true }
                return !state.stopping
            }
            if first { for _ in 0..<threads { jobs.signal() } }
            group.wait()
        }

        /// Ends the file; only after `stop`.
        func close(with trailer: [UInt8]) throws -> (Digest, Int64) {
            if let failure = state.withLock({ $0.failure }) { throw failure }
            if size == 0 { try header.withUnsafeBytes { try put($0) } }
            try trailer.withUnsafeBytes { try put($0) }
            return (hasher.finalize(), size)
        }

        private func work() {
            let compressor: BlockCompressor?
            do { compressor = try BlockCompressor(compression) } catch {
                fail(error)
                compressor = nil
            }
            while true {
                jobs.wait()
                guard let block = state.withLock({ $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }) else { return }
                let input = UnsafeMutableRawBufferPointer(rebasing: block.input[..<block.count])
                if compression == .none {
                    block.compressed = block.count
                } else if let count = compressor?.compress(input, into: block.output) {
                    block.compressed = count
                } else {
                    fail(TarError(code: .unavailable, message: "the library for \(compression) refused a block", hint: ""))
                }
                finished(block)
            }
        }

        /// Writes every block whose turn has come, unless another thread is doing so.
        private func finished(_ block: Block) {
            state.withLock { $0.finished[block.index] = block }
            while true {
                let turn: Block? = state.withLock { state in
                    guard !state.writing, let block = state.finished.removeValue(forKey: state.next) else { return nil }
                    state.writing = true
                    state.next += 1
                    return block
                }
                guard let turn else { return }
                if state.withLock({ $0.failure == nil }) {
                    do {
                        if size == 0 { try header.withUnsafeBytes { try put($0) } }
                        let bytes = compression == .none ? turn.input : turn.output
                        try put(UnsafeRawBufferPointer(rebasing: bytes[..<turn.compressed]))
                    } catch { fail(error) }
                }
                state.withLock { $0.writing = false }
                release(turn)
            }
        }

        private func fail(_ error: any Error) {
            state.withLock { if $0.failure == nil { $0.failure = error } }
        }

        private func put(_ bytes: UnsafeRawBufferPointer) throws {
            guard !bytes.isEmpty else { return }
            hasher.update(bytes)
            size += Int64(bytes.count)
            try writeAll(bytes, to: descriptor, name: name)
            try consumer?.write(bytes)
            // Let the disk begin now: the fsync that makes the file a blob then has little left to wait for.
            if size - started >= 4 << 20 {
                _ = sync_file_range(descriptor, Int(started), Int(size - started), 2 /* SYNC_FILE_RANGE_WRITE */)
                started = size
            }
        }

        /// No time, no name, "fastest", unknown system (RFC 1952); the other formats have none.
        private var header: [UInt8] {
            switch compression {
            case .gzip: [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff]
            case .zstd, .none: []
            }
        }
    }
}
