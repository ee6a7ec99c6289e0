import Foundation
import Glibc
import Synchronization
import SystemPackage
import TarArchive
import Testing

@Suite struct HardlinkTests {
    @Test func acrossFoldersAndTwice() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.add("a/b/file", data: "x", mode: 0o4755, uid: 7)
            tar.hardlink("c/d/name", to: "a/b/file")
            tar.hardlink("/e", to: "/c/d/name")
            // The same again changes nothing.
            tar.hardlink("e", to: "a/b/file")
            tar.hardlink("a/b/file", to: "./a/b/file")
        }
        #expect(try layers.status("a/b/file").st_nlink == 3)
        #expect(layers.look("e") == "file|4755|7:0")
        #expect(layers.text("c/d/name") == "x")
    }

    @Test func toAFileOfALowerLayer() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.folder("usr", mode: 0o711)
            tar.folder("usr/bin", mode: 0o751, uid: 2)
            tar.pax(["SCHILY.xattr.user.colour": "red", "mtime": "1000.5"])
            tar.add("usr/bin/tool", data: "tool", mode: 0o2755, uid: 5, gid: 6)
            tar.link("bin", to: "usr/bin")
        }
        try layers.add { tar in
            tar.hardlink("opt/tool", to: "bin/tool")
            tar.hardlink("opt/again", to: "usr/bin/tool")
        }
        #expect(layers.look("opt/tool") == "file|2755|5:6")
        #expect(layers.text("usr/bin/tool") == "tool")
        #expect(layers.look("usr/bin") == "folder|751|2:0")
        let status = try layers.status("opt/again")
        #expect(status.st_nlink == 3 && status.st_mtim.tv_sec == 1000 && status.st_mtim.tv_nsec == 500_000_000)
        let path = layers.top.appending("opt").appending("tool")
        #expect(ExtendedAttributes.read("user.colour", of: path) == Array("red".utf8))
        #expect(!layers.results[1].isSelfContained)
        // The lower layer is as it was.
        #expect(layers.text("usr/bin/tool", in: 0) == "tool")
    }

    @Test func toALinkIsTheLinkItself() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.link("link", to: "/etc/passwd")
            tar.hardlink("other", to: "link")
        }
        #expect(layers.look("other") == "link|/etc/passwd")
        try layers.add { $0.hardlink("third", to: "other") }
        #expect(layers.look("third") == "link|/etc/passwd")
    }

    @Test func toNothingOutsideOrFolders() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.folder("d")
            tar.add("gone")
        }
        #expect(layers.code { $0.hardlink("h", to: "../../../etc/passwd") } == .unsafeEntry)
        #expect(layers.code { $0.hardlink("h", to: "/etc/passwd") } == .invalidArchive)
        #expect(layers.code { $0.hardlink("h", to: "d") } == .invalidArchive)
        #expect(layers.code { $0.hardlink("h", to: "/") } == .unsafeEntry)
        #expect(layers.code { $0.hardlink("h", to: ".wh.x") } == .unsafeEntry)
        #expect(
            layers.code { tar in
                tar.link("out", to: "/etc")
                tar.hardlink("h", to: "out/passwd")
            } == .invalidArchive)
        #expect(
            layers.code { tar in
                tar.add(".wh.gone")
                tar.hardlink("h", to: "gone")
            } == .invalidArchive)
        // Hidden by a folder further up.
        try layers.add { $0.add("in/deep/file") }
        #expect(
            layers.code { tar in
                tar.add("in/.wh..wh..opq")
                tar.folder("in/deep")
                tar.hardlink("h", to: "in/deep/file")
            } == .invalidArchive)
        #expect(
            layers.code { tar in
                tar.add("a/b", data: "x")
                tar.hardlink("a", to: "a/b")
            } == .fileSystem)
    }
}

@Suite struct SymlinkTests {
    /// The kernel's openat2; a kernel without it; one that forbids it.
    static let openers: [(FolderOpener, String)] = [
        (.kernel, "openat2"), (refusing(ENOSYS), "ENOSYS"), (refusing(EPERM), "EPERM"), (refusing(EAGAIN), "EAGAIN"),
    ]

    static func refusing(_ code: Int32) -> FolderOpener {
        FolderOpener { _, _ in
            errno = code
            return -1
        }
    }

    @Test(arguments: openers.indices)
    func stayInside(kernel: Int) throws {
        let layers = try Unpacked()
        layers.options.opener = Self.openers[kernel].0
        let outside = try layers.scratch.folder("outside")
        try layers.add { tar in
            tar.link("up", to: "../../../../..")
            tar.add("up/one", data: "1")
            tar.link("abs", to: outside.string)
            tar.add("abs/two", data: "2")
            tar.link("deep/er/back", to: "../../../../x/../y")
            tar.add("deep/er/back/three", data: "3")
            tar.link("chain", to: "abs/../abs")
            tar.add("chain/four", data: "4")
            // The last component is never followed.
            tar.link("file", to: "\(outside)/stolen")
            tar.add("file", data: "5")
            tar.link("folder", to: outside.string)
            tar.folder("folder", mode: 0o700)
            tar.add("folder/six", data: "6")
        }
        #expect(layers.text("one") == "1")
        #expect(layers.text(outside.string.dropFirst() + "/two") == "2")
        #expect(layers.text("y/three") == "3")
        // `..` goes up from where the link before it led.
        #expect(layers.text(outside.removingLastComponent().string.dropFirst() + "/abs/four") == "4")
        #expect(layers.look("file") == "file|644|0:0" && layers.text("file") == "5")
        #expect(layers.look("folder") == "folder|700|0:0" && layers.text("folder/six") == "6")
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside.string).isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: layers.scratch.path.appending("rooms").string) == ["out-1"])
    }

    @Test func theKernelIsAskedOnceWhenItCannot() throws {
        let calls = Mutex(0)
        let layers = try Unpacked()
        layers.options.opener = FolderOpener { _, _ in
            calls.withLock { $0 += 1 }
            errno = ENOSYS
            return -1
        }
        try layers.add { tar in for index in 0..<20 { tar.add("d\(index)/e/f") } }
        #expect(calls.withLock { $0 } == 1)
        #expect(try layers.names().count == 60)
    }

    @Test(arguments: openers.indices)
    func loopsEnd(kernel: Int) throws {
        let layers = try Unpacked()
        layers.options.opener = Self.openers[kernel].0
        #expect(
            layers.code { tar in
                tar.link("a", to: "b")
                tar.link("b", to: "a")
                tar.add("a/x")
            } == .unsafeEntry)
        try layers.add { $0.link("self", to: "self") }
        #expect(layers.code { $0.add("self/x") } == .unsafeEntry)
    }

    @Test(arguments: ["..", "../x", "a/../../x", "/../x", "a/.."])
    func dotsAreRefused(name: String) throws {
        #expect(try Unpacked().code { $0.add(name) } == .unsafeEntry)
    }

    @Test func nothingTakesTheRootsPlace() throws {
        let layers = try Unpacked()
        for type in "0236" { #expect(layers.code { $0.add("./", type: type == "0" ? "2" : type, link: "x") } == .unsafeEntry) }
        try layers.add { $0.folder("/", mode: 0o711, uid: 9) }
        #expect(layers.look("") == "folder|711|9:0")
    }

    /// Merged /usr: `lib` is a link in the base, and a layer knows nothing of it.
    @Test func mergedUsr() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.folder("usr", mode: 0o751)
            tar.folder("usr/lib", mode: 0o711, uid: 4, time: 77)
            tar.add("usr/lib/libc.so")
            tar.link("lib", to: "usr/lib")
        }
        try layers.add { $0.add("lib/new.so", data: "n") }
        #expect(layers.look("lib") == nil)
        #expect(layers.text("usr/lib/new.so") == "n")
        #expect(layers.look("usr/lib") == "folder|711|4:0")
        #expect(try layers.status("usr/lib").st_mtim.tv_sec == 77)
        #expect(!layers.results[1].isSelfContained)

        // A folder of that name in the layer replaces the link, as in Docker and containerd: the files go with it.
        try layers.add { tar in
            tar.add("lib/before", data: "b")
            tar.folder("lib")
            tar.add("lib/after", data: "a")
        }
        #expect(layers.look("lib") == "folder|755|0:0")
        #expect(layers.text("usr/lib/before") == "b" && layers.text("lib/after") == "a")
    }

    @Test func filesAreNoFolders() throws {
        let layers = try Unpacked()
        try layers.add { $0.add("file") }
        #expect(layers.code { $0.add("file/x") } == .invalidArchive)
        #expect(
            layers.code { tar in
                tar.add("f2")
                tar.add("f2/x")
            } == .invalidArchive)
    }

    @Test func aReplacedFolderIsForgotten() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.add("a/b/one", data: "1")
            tar.link("a", to: "other")
            tar.add("a/b/two", data: "2")
            tar.folder("a")
            tar.add("a/b/three", data: "3")
        }
        #expect(layers.text("other/b/two") == "2")
        #expect(layers.text("a/b/three") == "3")
        #expect(try layers.names() == ["a", "a/b", "a/b/three", "other", "other/b", "other/b/two"])
    }
}
