import BlockingQueue
import FoundationEssentials
import Glibc
public import SystemPackage

/// Where the machine's systemd is found, and what units call.
public struct SystemdSettings: Hashable, Sendable {
    /// Where an administrator's units are: systemd.unit(5). Those below `/run` would be gone after a restart of the machine.
    public var unitFolder: FilePath = "/etc/systemd/system"
    /// The program; found along PATH when it holds no slash.
    public var systemctl = "systemctl"
    /// There while systemd is the machine's init: sd_booted(3).
    public var runningFolder: FilePath = "/run/systemd/system"
    /// slipway, by its absolute path.
    public var program: FilePath
    /// The data directory, absolute.
    public var data: FilePath

    public init(program: FilePath, data: FilePath) {
        self.program = program
        self.data = data
    }
}

/// The machine's systemd: puts units in force and takes them away.
struct Systemd: Sendable {
    let settings: SystemdSettings
    private let queue = BlockingQueue(label: "systemd", width: 2)

    init(_ settings: SystemdSettings) { self.settings = settings }

    private func file(_ subject: String) -> FilePath { settings.unitFolder.appending(SystemdUnit.name(of: subject)) }

    /// - Throws: when systemd is not the machine's init, or cannot be told anything.
    func check() async throws {
        let isRunning = try await queue.run { _ in AtomicFile.exists(settings.runningFolder) }
        guard isRunning else {
            throw DeployerError(
                .unitFailed, "systemd does not run on this machine: there is no \(settings.runningFolder)",
                hint: "leave 'units' of the target out: the server itself starts instances again")
        }
        let isWritable = try await queue.run { _ in access(settings.unitFolder.string, W_OK) == 0 }
        guard isWritable else {
            throw DeployerError(
                .unitFailed, "units cannot be written to \(settings.unitFolder)", hint: "start slipway as root, or leave 'units' of the target out")
        }
        try await tell(["--version"])
    }

    /// Writes a unit and has it started with the machine; it is not started now.
    func install(_ unit: SystemdUnit) async throws {
        let file = file(unit.subject)
        try await queue.run { _ in
            if let there = try text(file), !there.hasPrefix(SystemdUnit.mark(settings.data)) {
                throw DeployerError(
                    .unitFailed, "\(file) is not of the data directory \(settings.data)",
                    hint: "only one server of a machine can have units of that name: remove that unit, or leave 'units' of the target out here")
            }
            do {
                try AtomicFile.write(Array(unit.text.utf8), to: file, permissions: [.ownerReadWrite, .groupRead, .otherRead])
            } catch {
                throw DeployerError(.unitFailed, "\(file) cannot be written: \(error)", hint: "check free space and permissions of the folder")
            }
        }
        // systemd reads its units again by itself then.
        try await tell(["enable", SystemdUnit.name(of: unit.subject)])
    }

    /// Returns at once.
    func start(_ subject: String) async throws { try await tell(["start", "--no-block", SystemdUnit.name(of: subject)]) }

    /// Takes units away, and waits for what they run to end. Those that are not there, or of another data directory, are left out.
    func remove(_ subjects: [String]) async throws {
        let ours = try await queue.run { _ in try subjects.filter(isOurs) }
        guard !ours.isEmpty else { return }
        try await tell(["disable", "--now"] + ours.map(SystemdUnit.name))
        try await queue.run { _ in for subject in ours { try AtomicFile.remove(file(subject)) } }
        try await tell(["daemon-reload"])
    }

    /// The units of this data directory.
    func subjects() async throws -> [String] {
        try await queue.run { _ in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: settings.unitFolder.string)) ?? []
            let subjects = names.filter { $0.hasPrefix(SystemdUnit.prefix) && $0.hasSuffix(SystemdUnit.suffix) }
                .map { String($0.dropFirst(SystemdUnit.prefix.count).dropLast(SystemdUnit.suffix.count)) }
            return try subjects.filter(isOurs).sorted()
        }
    }

    private func isOurs(_ subject: String) throws -> Bool {
        try text(file(subject))?.hasPrefix(SystemdUnit.mark(settings.data)) ?? false
    }

    private func text(_ file: FilePath) throws -> String? {
        try AtomicFile.read(file, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
    }

    private func tell(_ arguments: [String]) async throws {
        let result: (succeeded: Bool, output: String, errors: String)
        do {
            result = try await DaemonProcess.run(settings.systemctl, arguments, in: "/", package: "systemd")
        } catch let error as DeployerError where error.code == .routerMissing {
            throw DeployerError(.unitFailed, error.message, hint: "install the Debian package systemd, or leave 'units' of the target out")
        }
        guard result.succeeded else {
            let words = result.errors.split(whereSeparator: \.isNewline).joined(separator: "; ")
            throw DeployerError(
                .unitFailed, "systemctl \(arguments.joined(separator: " ")): \(words.isEmpty ? "failed without a word" : words)",
                hint: "see: systemctl status, journalctl -b")
        }
    }
}
