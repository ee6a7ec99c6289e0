import Foundation
import OCIModel
import SystemPackage
import TarArchive
import Testing

/// Writes an archive with Python, which lets us make names a well-behaved writer refuses.
private func pythonTar(_ script: String, in scratch: Scratch, mode: String = "w:gz") throws -> FilePath {
    let file = scratch.path.appending("\(UUID().uuidString).tar")
    let program = """
        import tarfile, io, sys
        t = tarfile.open(sys.argv[1], sys.argv[2])
        def add(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, **more):
            i = tarfile.TarInfo(name); i.type = kind; i.size = len(data); i.linkname = link; i.mode = mode
            for k, v in more.items(): setattr(i, k, v)
            t.addfile(i, io.BytesIO(data))
        \(script)
        t.close()
        """
    try run("python3", "-c", program, file.string, mode)
    return file
}

private func exists(_ path: FilePath) -> Bool { (try? FileManager.default.attributesOfItem(atPath: path.string)) != nil }

@Suite struct ExtractionTests {
    @Test func restoresWhatWasWritten() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (file, summary) = try layer(sampleEntries, in: scratch)
        let out = try scratch.folder("out")
        #expect(try LayerExtractor().extract(file, to: out, expecting: summary.diffID) == summary.diffID)
        #expect(try Data(contentsOf: URL(fileURLWithPath: out.string + "/app/big")) == Data(sampleBytes(3_500_000)))
        let listing = try run("find", out.string + "/app", "-printf", "%P|%m|%U:%G|%T@|%l\\n")
        #expect(listing.contains("grüße.txt|640|7:8|1700000000.0000000000|\n"))
        #expect(listing.contains("link|777|0:0|1700000000.0000000000|grüße.txt\n"))
        #expect(listing.contains("|4755|0:0|"))
        #expect(listing.contains("\n|755|0:0|1700000000.0000000000|") || listing.hasPrefix("|755|0:0|1700000000.0000000000|"))
    }

    @Test func refusesAnotherDiffID() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (file, _) = try layer(sampleEntries, in: scratch)
        let out = try scratch.folder("out")
        #expect(tarCode { try LayerExtractor().extract(file, to: out, expecting: Digest.sha256([])) } == .digestMismatch)
    }

    @Test(arguments: [100, 5_000, 100_000])
    func truncatedGzipThrows(length: Int) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (file, _) = try layer(sampleEntries, in: scratch)
        let cut = scratch.path.appending("cut.tar.gz")
        try Data(contentsOf: URL(fileURLWithPath: file.string)).prefix(length).write(to: URL(fileURLWithPath: cut.string))
        let out = try scratch.folder("out")
        #expect(tarCode { try LayerExtractor().extract(cut, to: out) } == .invalidArchive)
    }

    @Test(arguments: ["add('../evil', data=b'x')", "add('a/../../evil', data=b'x')", "add('h', tarfile.LNKTYPE, link='../../etc/passwd')"])
    func namesCannotLeave(script: String) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = try pythonTar(script, in: scratch)
        let out = try scratch.folder("deep/out")
        #expect(tarCode { try LayerExtractor().extract(file, to: out) } == .unsafeEntry)
        #expect(!exists(scratch.path.appending("evil")) && !exists(scratch.path.appending("deep").appending("evil")))
    }

    @Test func linksAreFollowedInsideOnly() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let outside = try scratch.folder("outside")
        let file = try pythonTar(
            """
            add('/absolute', data=b'a')
            add('bin', tarfile.SYMTYPE, link='usr/bin')
            add('usr/bin', tarfile.DIRTYPE, mode=0o755)
            add('bin/tool', data=b't', mode=0o755)
            add('up', tarfile.SYMTYPE, link='../../../..')
            add('up/file', data=b'u')
            add('abs', tarfile.SYMTYPE, link='\(outside)')
            add('abs/file', data=b'o')
            add('abs', tarfile.SYMTYPE, link='/etc')
            """, in: scratch)
        let out = try scratch.folder("out")
        try LayerExtractor().extract(file, to: out)
        #expect(exists(out.appending("absolute")))
        #expect(exists(out.appending("usr").appending("bin").appending("tool")))
        #expect(exists(out.appending("file")))
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside.string).isEmpty)
        #expect(exists(FilePath(out.string + outside.string + "/file")))
    }

    @Test func symlinkLoopsEnd() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = try pythonTar("add('a', tarfile.SYMTYPE, link='b'); add('b', tarfile.SYMTYPE, link='a'); add('a/x')", in: scratch)
        let out = try scratch.folder("out")
        #expect(tarCode { try LayerExtractor().extract(file, to: out) } == .unsafeEntry)
    }

    @Test func whiteoutsBecomeOverlayOnes() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = try pythonTar(
            """
            add('gone/.wh.file')
            add('opaque', tarfile.DIRTYPE, mode=0o755); add('opaque/.wh..wh..opq'); add('opaque/new', data=b'n')
            add('.wh.back'); add('back', tarfile.DIRTYPE, mode=0o755)
            add('kept', data=b'k'); add('.wh.kept')
            add('.wh..wh.plnk'); add('dev/null', tarfile.CHRTYPE, devmajor=1, devminor=3)
            add('hard', tarfile.LNKTYPE, link='opaque/new')
            """, in: scratch)
        let out = try scratch.folder("out")
        try LayerExtractor().extract(file, to: out)
        #expect(try run("stat", "-c", "%F %t:%T", out.string + "/gone/file") == "character special file 0:0\n")
        for name in ["opaque", "back"] {
            let value = try run(
                "python3", "-c", "import os,sys; print(os.getxattr(sys.argv[1], 'trusted.overlay.opaque').decode())", "\(out)/\(name)")
            #expect(value == "y\n")
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: out.string + "/kept")) == Data("k".utf8))
        #expect(!exists(FilePath(out.string + "/dev/null")))
        #expect(try run("stat", "-c", "%h", out.string + "/hard") == "2\n")
    }

    @Test func limitsHold() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (file, _) = try layer(sampleEntries, in: scratch)
        var options = LayerExtractor.Options()
        options.limits.bytes = 1_000_000
        #expect(tarCode { try LayerExtractor(options: options).extract(file, to: scratch.folder("a")) } == .limitExceeded)
        options = LayerExtractor.Options()
        options.limits.entries = 3
        #expect(tarCode { try LayerExtractor(options: options).extract(file, to: scratch.folder("b")) } == .limitExceeded)
    }

    @Test(arguments: ["cat", "gzip -c", "zstd -qc"])
    func readsEveryCompression(command: String) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let plain = try pythonTar("add('x', data=b'1'*100000, uid=5)", in: scratch, mode: "w:")
        let file = scratch.path.appending("layer")
        try run("sh", "-c", "\(command) < '\(plain)' > '\(file)'")
        let diffID = try LayerExtractor().extract(file, to: scratch.folder("out"))
        #expect(try run("sha256sum", plain.string).hasPrefix(diffID.hex))
    }

    @Test func keepsCapabilitiesButNotOverlaySecrets() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0] + [UInt8](repeating: 0, count: 12)
        let entries = [
            TarEntry(path: "ping", content: .bytes([1]), mode: 0o755, uid: 3, xattrs: ["security.capability": capability]),
            TarEntry(path: "trap", content: .directory, mode: 0o755, xattrs: ["trusted.overlay.redirect": Array("/etc".utf8)]),
        ]
        let (file, _) = try layer(entries, in: scratch)
        let out = try scratch.folder("out")
        try LayerExtractor().extract(file, to: out)
        let found = try run("python3", "-c", "import os,sys; print([os.listxattr(sys.argv[1]+n) for n in ('/ping','/trap')])", out.string)
        #expect(found == "[['security.capability'], []]\n")
    }
}
