import Foundation
import Glibc
import SystemPackage
import TarArchive
import Testing

@Suite struct AttributeTests {
    private static let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0] + [UInt8](repeating: 0, count: 12)

    /// Writing clears setuid and capabilities, chown does so again, chmod drops access lists, and all of it changes times.
    @Test func survivesEachOther() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.pax([
                ("SCHILY.xattr.security.capability", Self.capability), ("SCHILY.xattr.user.note", Array("hello".utf8)),
                ("mtime", Array("7.000000009".utf8)),
            ])
            tar.add("tool", data: "x", mode: 0o6755, uid: 1000, gid: 50)
        }
        let path = layers.top.appending("tool")
        #expect(layers.look("tool") == "file|6755|1000:50")
        #expect(ExtendedAttributes.read("security.capability", of: path) == Self.capability)
        #expect(ExtendedAttributes.read("user.note", of: path) == Array("hello".utf8))
        let time = try layers.status("tool").st_mtim
        #expect(time.tv_sec == 7 && time.tv_nsec == 9)
    }

    @Test func marksOfThisMachineAreNotTaken() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            let names = [
                "trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque", "security.selinux", "security.ima", "trusted.x",
            ]
            tar.pax(names.map { ("SCHILY.xattr.\($0)", [0x79]) } + [("SCHILY.xattr.user.kept", [0x31])])
            tar.folder("d")
        }
        let found = try run("python3", "-c", "import os,sys; print(os.listxattr(sys.argv[1]))", layers.top.string + "/d")
        #expect(found == "['user.kept']\n")
    }

    @Test func devicesOnlyWhenAllowed() throws {
        func fill(_ tar: inout TarBytes) {
            tar.add("null", type: "3", mode: 0o666, uid: 2, device: (1, 3))
            tar.add("disk", type: "4", device: (259, 300))
            tar.add("pipe", type: "6", mode: 0o620)
        }
        let layers = try Unpacked()
        try layers.add { fill(&$0) }
        #expect(try layers.names() == ["pipe"])
        // 0:0 is overlayfs' whiteout: it would delete without saying so.
        try layers.add { $0.add("hidden", type: "3") }
        #expect(try layers.names().isEmpty)
        layers.options.devices = true
        try layers.add { fill(&$0) }
        #expect(try run("stat", "-c", "%F %t:%T %a %u", layers.top.string + "/null") == "character special file 1:3 666 2\n")
        #expect(try run("stat", "-c", "%F %t:%T", layers.top.string + "/disk") == "block special file 103:12c\n")
        #expect(layers.code { $0.add("hidden", type: "3") } == .unsafeEntry)
    }

    @Test func foldersOnTheWayAreTheSameEveryTime() throws {
        let layers = try Unpacked()
        try layers.add { $0.add("a/b/c", time: 9) }
        for name in ["a", "a/b"] {
            #expect(layers.look(name) == "folder|755|0:0")
            #expect(try layers.status(name).st_mtim.tv_sec == 0)
        }
        #expect(!layers.results[0].isSelfContained)
        try layers.add { tar in
            tar.folder("a")
            tar.add("a/c")
        }
        #expect(layers.results[1].isSelfContained)
    }

    @Test func deepTreesAreRemovedWithoutRecursion() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let script = """
            import os, sys
            os.chdir(sys.argv[1])
            for n in range(3000):
                os.mkdir('d'); open('f', 'w').close(); os.chdir('d')
            """
        let folder = try scratch.folder("deep")
        try run("python3", "-c", script, folder.string)
        try ExtractedFolder.remove(folder)
        #expect(!FileManager.default.fileExists(atPath: folder.string))
    }
}
