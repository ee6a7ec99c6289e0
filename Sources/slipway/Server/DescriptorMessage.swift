import Glibc
import SystemPackage

/// A byte with a descriptor over a socket of unix(7): SCM_RIGHTS. The descriptor arrives as another one of the same file.
enum DescriptorMessage {
    /// cmsg(3) for one descriptor: the header, the descriptor, and what fills up to the next word.
    private struct Control {
        var head = cmsghdr()
        var descriptor: Int32 = -1
        var padding: Int32 = 0
    }

    private static let length = MemoryLayout<cmsghdr>.size + MemoryLayout<Int32>.size
    private static let rights: Int32 = 1

    static func send(_ descriptor: FileDescriptor, with byte: UInt8, over socket: FileDescriptor) throws(Errno) {
        var control = Control()
        control.head.cmsg_len = length
        control.head.cmsg_level = SOL_SOCKET
        control.head.cmsg_type = rights
        control.descriptor = descriptor.rawValue
        var byte = byte
        guard with(&byte, &control, { sendmsg(socket.rawValue, &$0, Int32(MSG_NOSIGNAL)) }) == 1 else {
            throw Errno(rawValue: errno)
        }
    }

    /// What arrives, closed on exec; nil when there is no descriptor with it.
    static func receive(over socket: FileDescriptor) throws(Errno) -> (byte: UInt8, descriptor: FileDescriptor)? {
        var control = Control()
        var byte: UInt8 = 0
        let count = with(&byte, &control) { recvmsg(socket.rawValue, &$0, Int32(MSG_CMSG_CLOEXEC)) }
        guard count >= 0 else { throw Errno(rawValue: errno) }
        guard count == 1, control.head.cmsg_len == length, control.head.cmsg_level == SOL_SOCKET, control.head.cmsg_type == rights,
            control.descriptor >= 0
        else { return nil }
        return (byte, FileDescriptor(rawValue: control.descriptor))
    }

    private static func with(_ byte: inout UInt8, _ control: inout Control, _ body: (inout msghdr) -> Int) -> Int {
        withUnsafeMutablePointer(to: &byte) { byte in
            withUnsafeMutablePointer(to: &control) { control in
                var data = iovec(iov_base: byte, iov_len: 1)
                return withUnsafeMutablePointer(to: &data) { data in
                    var message = msghdr()
                    message.msg_iov = data
                    message.msg_iovlen = 1
                    message.msg_control = UnsafeMutableRawPointer(control)
                    message.msg_controllen = MemoryLayout<Control>.size
                    return body(&message)
                }
            }
        }
    }
}
