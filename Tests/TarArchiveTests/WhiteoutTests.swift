import SystemPackage
import TarArchive
import Testing

@Suite struct WhiteoutTests {
    @Test(arguments: [false, true])
    func standBeforeAndAfterSiblings(first: Bool) throws {
        let layers = try Unpacked()
        try layers.add { tar in
            for name in ["gone", "kept", "back/old"] { tar.add(name, data: "lower") }
        }
        try layers.add { tar in
            func whiteouts() {
                for name in [".wh.gone", ".wh.kept", ".wh.back"] { tar.add(name) }
            }
            if first { whiteouts() }
            tar.add("kept", data: "upper")
            tar.folder("back")
            tar.add("back/new", data: "n")
            if !first { whiteouts() }
        }
        #expect(layers.look("gone") == "whiteout")
        #expect(layers.text("kept") == "upper")
        #expect(layers.look("back") == "folder|755|0:0|opaque")
        #expect(layers.text("back/new") == "n")
        #expect(try layers.names() == ["back", "back/new", "gone", "kept"])
    }

    @Test(arguments: [0, 1, 2])
    func opaqueStandsAnywhere(position: Int) throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.folder("d", mode: 0o700, uid: 5)
            tar.add("d/old")
        }
        try layers.add { tar in
            if position == 0 { tar.add("d/.wh..wh..opq") }
            tar.folder("d", mode: 0o750, uid: 6)
            if position == 1 { tar.add("d/.wh..wh..opq") }
            tar.add("d/new")
            if position == 2 { tar.add("d/.wh..wh..opq") }
        }
        #expect(layers.look("d") == "folder|750|6:0|opaque")
        #expect(try layers.names() == ["d", "d/new"])
        // The folder below is not in the archive's way: nothing was asked of it when the entry came first.
        #expect(layers.results[1].isSelfContained == (position != 0))
    }

    @Test func opaqueWithoutItsFolderKeepsWhatTheFolderIs() throws {
        let layers = try Unpacked()
        try layers.add { $0.folder("tmp", mode: 0o1777, uid: 3, gid: 4) }
        try layers.add { $0.add("tmp/.wh..wh..opq") }
        #expect(layers.look("tmp") == "folder|1777|3:4|opaque")
    }

    @Test(arguments: [".wh.", "d/.wh.", ".wh..", ".wh...", ".wh.x/inside", "./.wh./y"])
    func thatNameNothingAreRefused(name: String) throws {
        let layers = try Unpacked()
        #expect(layers.code { $0.add(name) } == .unsafeEntry)
    }

    @Test func goThroughLinksOfTheLayerAndOfLowerOnes() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.folder("usr", mode: 0o711)
            tar.folder("usr/bin", mode: 0o751)
            tar.add("usr/bin/tool")
            tar.link("bin", to: "usr/bin")
        }
        try layers.add { $0.add("bin/.wh.tool") }
        #expect(layers.look("usr/bin/tool") == "whiteout")
        #expect(layers.look("bin") == nil)
        #expect(layers.look("usr/bin") == "folder|751|0:0")
        try layers.add { tar in
            tar.link("here", to: "/usr/bin")
            tar.add("here/.wh.other")
        }
        #expect(layers.look("usr/bin/other") == "whiteout")
    }

    @Test func ofAFolderThatComesBackWithoutAnEntry() throws {
        let layers = try Unpacked()
        try layers.add { $0.link("lib", to: "usr/lib") }
        try layers.add { tar in
            tar.add(".wh.lib")
            tar.add("lib/new", data: "n")
        }
        #expect(layers.look("lib") == "folder|755|0:0|opaque")
        #expect(layers.text("lib/new") == "n")
    }

    @Test func namesThatAreNotUTF8() throws {
        let layers = try Unpacked()
        try layers.add { $0.add(Array(".wh.".utf8) + [0xff, 0xfe, 0x41]) }
        let listing = try run("python3", "-c", "import os,sys; print(os.listdir(os.fsencode(sys.argv[1])))", layers.top.string)
        #expect(listing == "[b'\\xff\\xfeA']\n")
    }

    @Test func aufsBookkeepingIsLeftOut() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.add(".wh..wh.aufs")
            tar.folder(".wh..wh.plnk")
            tar.add(".wh..wh.plnk/12.34", data: "x")
        }
        #expect(try layers.names().isEmpty)
    }
}
