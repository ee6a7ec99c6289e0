import Foundation
import Glibc
import SystemPackage
import TarArchive
import Testing

@Suite struct TarFormatTests {
    /// The bytes of every name in the top layer, as hexadecimal.
    private func hexNames(_ layers: Unpacked) throws -> [String] {
        let script = "import os,sys; print(' '.join(sorted(n.hex() for n in os.listdir(os.fsencode(sys.argv[1])))))"
        return try run("python3", "-c", script, layers.top.string).split(whereSeparator: \.isWhitespace).map(String.init)
    }

    @Test func namesKeepTheirBytes() throws {
        let odd: [[UInt8]] = [[0xff, 0xfe], [0xc3, 0x28], Array("gr\u{fc}\u{df}e".utf8), Array("a\nb\\c\"".utf8)]
        let layers = try Unpacked()
        try layers.add { tar in
            tar.add(odd[0])
            tar.pax([("path", odd[1])])
            tar.add("replaced")
            tar.long(odd[2], type: "L")
            tar.add("replaced")
            tar.pax([("path", odd[3]), ("hdrcharset", Array("BINARY".utf8))])
            tar.add("replaced")
        }
        #expect(try hexNames(layers) == odd.map { $0.map { String(format: "%02x", $0) }.joined() }.sorted())
        let target: [UInt8] = [0x2f, 0x80, 0x81]
        try layers.add { tar in
            tar.pax([("linkpath", target)])
            tar.add("l", type: "2")
            tar.long(target, type: "K")
            tar.add("m", type: "2")
        }
        let script = "import os,sys; print([os.readlink(os.fsencode(sys.argv[1]+n)) for n in ('/l','/m')])"
        #expect(try run("python3", "-c", script, layers.top.string) == "[b'/\\x80\\x81', b'/\\x80\\x81']\n")
    }

    @Test(arguments: [99, 100, 101, 155, 255])
    func longNames(length: Int) throws {
        let name = String(repeating: "n", count: length)
        let layers = try Unpacked()
        try layers.add { tar in
            tar.pax(["path": "pax/\(name)"])
            tar.add("short")
            tar.long(Array("gnu/\(name)".utf8), type: "L")
            tar.add("short")
            tar.long(Array(name.utf8), type: "K")
            tar.add("short-link", type: "2", link: "x")
            // 100 bytes fill the field, without a NUL; the prefix goes in front.
            tar.add(
                Array(String(name.prefix(100)).utf8),
                change: { block in
                    for (index, byte) in "prefix/of".utf8.enumerated() { block[345 + index] = byte }
                })
        }
        #expect(layers.look("pax/\(name)") != nil && layers.look("gnu/\(name)") != nil)
        #expect(layers.look("short-link") == "link|\(name)")
        #expect(layers.look("prefix/of/\(name.prefix(100))") != nil)
    }

    @Test func gnuHeadersHaveNoPrefix() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.format = .gnu
            // Where ustar has the prefix, GNU keeps access times.
            tar.add(Array("name".utf8), change: { block in for index in 345..<369 { block[index] = 0x37 } })
            tar.format = .old
            tar.add("old/", type: "\0", mode: 0o700)
            tar.add("old/file", type: "\0", data: "o")
        }
        #expect(try layers.names() == ["name", "old", "old/file"])
        #expect(layers.look("old") == "folder|700|0:0")
    }

    @Test func sizesAndOwnersBeyondOctal() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.pax(["size": "3", "uid": "4000000000", "gid": "70000"])
            tar.add(Array("pax".utf8), data: Array("abc".utf8), size: 0)
            tar.format = .gnu
            tar.add("binary", data: "x", uid: 4_000_000_001, gid: 3_000_000)
        }
        #expect(layers.look("pax") == "file|644|4000000000:70000" && layers.text("pax") == "abc")
        #expect(layers.look("binary") == "file|644|4000000001:3000000")
        // chown(2) takes the largest number for "leave it": such a file would belong to root.
        #expect(layers.code { $0.add("x", uid: 4_294_967_295) } == .invalidArchive)
        #expect(layers.code { $0.add("x", uid: -1) } == .invalidArchive)
        #expect(
            layers.code { tar in
                tar.pax(["uid": "4294967296"])
                tar.add("x")
            } == .invalidArchive)
    }

    /// More than 8 GiB, where the octal field ends: the size is believed, and the limit on bytes speaks.
    @Test func sizesAboveEightGibibytes() throws {
        let layers = try Unpacked()
        var tar = TarBytes()
        tar.pax(["size": "9000000000"])
        tar.add("pax", size: 0)
        #expect(layers.error(tar.ended)?.code == .invalidArchive)
        layers.options.limits.bytes = 8_999_999_999
        #expect(layers.error(tar.ended)?.names(.bytes) == true)
        tar = TarBytes()
        tar.add("binary", size: 9_000_000_000)
        #expect(layers.error(tar.ended)?.names(.bytes) == true)
        tar = TarBytes()
        tar.pax(["size": "9223372036854775807"])
        tar.add("huge")
        #expect(layers.error(tar.ended)?.code == .invalidArchive)
    }

    @Test(arguments: [
        ("1.25", 1, 250_000_000), ("-1", -1, 0), ("-1.25", -2, 750_000_000), ("1700000000.123456789999", 1_700_000_000, 123_456_789),
        ("-0.5", -1, 500_000_000), ("5.", 5, 0),
    ])
    func times(text: String, seconds: Int, nanoseconds: Int) throws {
        let layers = try Unpacked()
        try layers.add { tar in
            for (name, type) in [("file", "0"), ("folder", "5"), ("link", "2"), ("pipe", "6")] {
                tar.pax(["mtime": text])
                tar.add(name, type: Character(type), link: type == "2" ? "x" : "")
            }
            tar.add("folder/later")
        }
        for name in ["file", "folder", "link", "pipe"] {
            let time = try layers.status(name).st_mtim
            #expect(time.tv_sec == seconds && time.tv_nsec == nanoseconds, "\(name)")
        }
    }

    @Test func timesBefore1970InBase256() throws {
        let layers = try Unpacked()
        try layers.add { $0.add("old", time: -86_400 * 365) }
        #expect(try layers.status("old").st_mtim.tv_sec == -86_400 * 365)
    }

    @Test func theLastOfEqualNamesWins() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.add("f", data: "first", mode: 0o600)
            tar.hardlink("other", to: "f")
            tar.add("f", data: "second", mode: 0o640)
            tar.pax(["path": "no", "mtime": "1"])
            tar.pax(["path": "yes"])
            tar.add("x")
            tar.folder("d", mode: 0o700)
            tar.add("d/in")
            tar.folder("d", mode: 0o711, time: 5)
        }
        #expect(layers.text("f") == "second" && layers.look("f") == "file|640|0:0")
        // What the first one was has another name still.
        #expect(layers.text("other") == "first")
        #expect(layers.look("no") == nil && layers.look("yes") != nil)
        #expect(layers.look("d") == "folder|711|0:0" && layers.look("d/in") != nil)
        #expect(try layers.status("d").st_mtim.tv_sec == 5)
    }

    static let kinds: [Character] = ["0", "5", "2", "6"]

    @Test(arguments: kinds, kinds)
    func kindsReplaceEachOther(before: Character, after: Character) throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.add("x", type: before, link: before == "2" ? "d" : "")
            if before == "5" { tar.add("x/inside") }
            tar.add("x", type: after, link: after == "2" ? "e" : "", mode: 0o600)
        }
        let found = try #require(layers.look("x"))
        let start: [Character: String] = ["0": "file", "5": "folder", "2": "link|e", "6": "fifo"]
        #expect(found.hasPrefix(start[after] ?? "?"))
        #expect(try layers.names() == (before == "5" && after == "5" ? ["x", "x/inside"] : ["x"]))
    }

    @Test func whatReadersDisagreeAboutIsRefused() throws {
        let layers = try Unpacked()
        func refuse(_ why: String, _ fill: (inout TarBytes) -> Void) {
            var tar = TarBytes()
            fill(&tar)
            let error = layers.error(tar.ended)
            #expect(error?.code == .invalidArchive && error?.message.contains(why) == true, "\(why): \(error?.description ?? "accepted")")
        }
        refuse("no file but has data") { $0.add("h", type: "1", data: "smuggled", link: "x") }
        refuse("no file but has data") { $0.add("l", type: "2", data: "smuggled", link: "x") }
        refuse("name of a folder") { $0.add("f/", data: "x") }
        refuse("unknown kind") { $0.add("f", type: "M") }
        refuse("leads nowhere") { $0.add("l", type: "2") }
        refuse("no name") { $0.add("") }
        refuse("two names") { tar in
            tar.long(Array("one".utf8), type: "L")
            tar.pax(["path": "two"])
            tar.add("three")
        }
        refuse("global pax header") { tar in
            tar.pax([("path", Array("evil".utf8))], type: "g")
            tar.add("x")
        }
        refuse("holds a NUL") { tar in
            tar.pax([("path", [0x61, 0, 0x62])])
            tar.add("x")
        }
        refuse("pax header is malformed") { $0.add("x", type: "x", data: "99 path=a\n") }
        refuse("pax header is malformed") { $0.add("x", type: "x", data: "3 \n") }
        refuse("after an extended header") { $0.pax(["path": "x"]) }
        refuse("extended header has more than") { $0.add("x", type: "x", size: 2 << 20) }
        refuse("not an octal number") { $0.add(Array("x".utf8), change: { $0[100] = 0x39 }) }
        refuse("wrong checksum") { tar in tar.appendRaw([0x41] + [UInt8](repeating: 0, count: 511)) }
    }

    @Test func harmlessGlobalHeadersAreRead() throws {
        let layers = try Unpacked()
        try layers.add { tar in
            tar.pax([("comment", Array("a commit".utf8))], type: "g")
            tar.add("x")
        }
        #expect(try layers.names() == ["x"])
    }

    @Test func endsOfArchives() throws {
        var tar = TarBytes()
        tar.add("x", data: "1")
        let zeros = [UInt8](repeating: 0, count: 512)
        let rubbish = [UInt8](repeating: 0x20, count: 512)
        let layers = try Unpacked()
        // Nothing at all, only the end, no end marker, half of it, padding as GNU tar writes it.
        let good: [([UInt8], [String])] = [
            ([], []), (zeros + zeros, []), (tar.bytes, ["x"]), (tar.bytes + zeros, ["x"]), (tar.ended + zeros + zeros, ["x"]),
        ]
        for (bytes, names) in good {
            try layers.add(bytes: bytes)
            #expect(try layers.names() == names)
        }
        let wrong: [[UInt8]] = [
            tar.ended + rubbish, tar.ended + [1], tar.bytes + zeros + rubbish, tar.bytes.dropLast(1), tar.bytes.dropLast(512),
            tar.ended + tar.ended,
        ]
        for bytes in wrong {
            #expect(layers.error(bytes)?.code == .invalidArchive)
        }
    }
}

@Suite struct SparseTests {
    private func sparseFile(_ scratch: Scratch) throws -> String {
        let file = scratch.path.appending("sparse").string
        let script =
            "f=open(__import__('sys').argv[1],'wb'); f.truncate(9000000); [(f.seek(n), f.write(b'd%d' % n)) for n in range(4096, 8000000, 200000)]"
        try run("python3", "-c", script, file)
        return file
    }

    @Test(arguments: [
        "--format=gnu", "--format=posix --sparse-version=0.0", "--format=posix --sparse-version=0.1", "--format=posix --sparse-version=1.0",
    ])
    func everyFormatOfGNUTar(options: String) throws {
        let layers = try Unpacked()
        let file = try sparseFile(layers.scratch)
        try run("sh", "-c", "cd '\(layers.scratch.path)' && tar -S \(options) -cf sparse.tar sparse")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: layers.scratch.path.string + "/sparse.tar"))
        #expect(bytes.count < 1_000_000, "the archive is not sparse")
        try layers.add(bytes: Array(bytes))
        try run("cmp", file, layers.top.string + "/sparse")
        #expect(try layers.status("sparse").st_blocks * 512 < 2_000_000)
    }

    @Test func holesCountAgainstTheLimit() throws {
        let layers = try Unpacked()
        var tar = TarBytes()
        tar.pax(["GNU.sparse.size": "9000000000000000000", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,1"])
        tar.add("bomb", data: "x")
        #expect(layers.error(tar.ended)?.names(.bytes) == true)
    }

    @Test(arguments: ["5,1,0,1", "0,1,0,1", "0,3", "9,3", "0,1,2", "-1,2", "0,9223372036854775807", ""])
    func mapsThatContradictThemselves(map: String) throws {
        let layers = try Unpacked()
        #expect(
            layers.code { tar in
                tar.pax(["GNU.sparse.size": "10", "GNU.sparse.map": map])
                tar.add("x", data: "ab")
            } == .invalidArchive)
    }
}
