public import OCIModel

/// Looks on while an image is made, to send its layers on. Called from threads that may block.
public protocol LayerListener: Sendable {
    /// The image has this layer or config, and the store may have it by now.
    ///
    /// - Parameter isNew: it was made just now.
    func has(_ blob: Descriptor, isNew: Bool)
    /// A layer is about to be written; returns who takes its bytes, nil when nobody does.
    func begin() -> (any LayerSink)?
}

/// Takes the bytes of one layer in order, then one call of `finish` or `discard`.
public protocol LayerSink: TarSink {
    /// All bytes were written; this is what they are.
    func finish(_ layer: Descriptor)
    /// The layer could not be written.
    func discard()
}
