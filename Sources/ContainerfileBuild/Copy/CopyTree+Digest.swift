import Glibc
import OCIModel
import SystemPackage

extension CopyTree {
    /// Changes when what would be copied changes: names, kinds, modes, owners, attributes, bytes. Times are left out: a
    /// file written again with the same bytes makes no new image. Blocking.
    func digest(isCancelled: () -> Bool = { false }) throws -> Digest {
        var hasher = Digest.Hasher()
        func add(_ text: String) { hasher.update(Array("\(text.utf8.count):\(text)".utf8)) }
        add(name)
        add(isFolder ? "folder" : "file")
        for item in items {
            add(item.name)
            add("\(item.mode) \(item.uid) \(item.gid)")
            for (name, value) in item.attributes.sorted(by: { $0.key < $1.key }) {
                add(name)
                add("\(value.count)")
                hasher.update(value)
            }
            switch item.kind {
            case .folder: add("d")
            case .fifo: add("p")
            case .symlink(let target): add("l" + target)
            case .device(let type, let number): add("c\(type) \(number)")
            case .hardlink(let index): add("h" + items[index].name)
            case .bytes(let bytes):
                add("f\(bytes.count)")
                hasher.update(bytes)
            case .file(let real):
                add("f" + (try Self.digest(of: real, in: root, isCancelled)).hex)
            }
        }
        return hasher.finalize()
    }

    static func digest(of real: String, in root: TreeRoot, _ isCancelled: () -> Bool) throws -> Digest {
        let file = try root.open(real)
        defer { close(file) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4096)
        defer { buffer.deallocate() }
        var hasher = Digest.Hasher()
        while true {
            if isCancelled() { throw CancellationError() }
            let count = read(file, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw ContainerfileBuildError.system("read", root.full(real)) }
            if count == 0 { return hasher.finalize() }
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
