import Glibc
import SystemPackage

/// What this machine knows of the hardware addresses beside it: arp(7).
enum Neighbours {
    /// Forgets whose address it was: another interface has it now, and this machine would go on for half a minute sending to the one
    /// that is gone.
    static func forget(_ address: String, on device: String) throws(ContainerError) {
        var known = sockaddr_in()
        known.sin_family = sa_family_t(AF_INET)
        guard inet_pton(AF_INET, address, &known.sin_addr) == 1, device.utf8.count < deviceSize else { return }
        // struct arpreq: address, hardware address, flags, netmask, device.
        var request = withUnsafeBytes(of: &known) { Array($0) } + [UInt8](repeating: 0, count: 16 + 4 + 16)
        request += Array(device.utf8) + [UInt8](repeating: 0, count: deviceSize - device.utf8.count)
        let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard file >= 0 else { throw failed(address, errno) }
        defer { close(file) }
        let result = request.withUnsafeMutableBytes { bytes in bytes.baseAddress.map { ioctl(file, deleteEntry, $0) } ?? 0 }
        // ENXIO: there is no such entry.
        guard result == 0 || errno == ENXIO else { throw failed(address, errno) }
    }

    /// IFNAMSIZ
    private static let deviceSize = 16
    /// SIOCDARP
    private static let deleteEntry: UInt = 0x8953

    private static func failed(_ address: String, _ code: Int32) -> ContainerError {
        ContainerError(.networkFailed, "the hardware address of \(address) cannot be forgotten: \(Errno(rawValue: code))")
    }
}
