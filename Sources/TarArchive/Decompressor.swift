/// Turns packed bytes into plain ones, a buffer at a time.
protocol Decompressor: AnyObject {
    /// Takes what it wants from the front of `input` and fills the front of `output`. `input` is empty only at the end
    /// of the file: then a stream that is not complete throws. Returns the number of bytes written; 0 with an empty
    /// `input` is the proper end.
    func decompress(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int
}

/// Why packed bytes cannot be unpacked; the name of the file is added by `LayerBytes`.
struct DamagedStream: Error {
    let reason: String
}

/// Hands bytes on as they are.
final class PlainBytes: Decompressor {
    func decompress(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(input.count, output.count)
        output.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[..<count]))
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        return count
    }
}
