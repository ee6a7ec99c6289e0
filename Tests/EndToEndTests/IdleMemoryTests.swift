import Foundation
import Testing

@testable import slipway

@Suite struct IdleMemoryTests {
    @Test func onlyCodeAndConstantsOfFilesAreGivenBack() {
        let maps = """
            55d0a0000000-55d0a0100000 r--p 00000000 08:01 123                        /usr/bin/slipway
            55d0a0100000-55d0a0900000 r-xp 00100000 08:01 123                        /usr/bin/slipway
            55d0a0900000-55d0a0a00000 rw-p 00900000 08:01 123                        /usr/bin/slipway
            55d0a1000000-55d0a1100000 rw-p 00000000 00:00 0                          [heap]
            7f0000000000-7f0000100000 r-xp 00000000 08:01 456                        /usr/lib/a folder/lib c.so
            7f0000200000-7f0000300000 rwxp 00000000 08:01 456                        /usr/lib/patched.so
            7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]
            half a line
            """
        #expect(
            IdleMemory.fileMappings(maps) == [0x55d0_a010_0000..<0x55d0_a090_0000, 0x7f00_0000_0000..<0x7f00_0010_0000])
    }

    @Test func whatWasGivenBackIsThereAgainWhenNeeded() throws {
        func resident() throws -> Int {
            let text = try String(decoding: Data(contentsOf: URL(fileURLWithPath: "/proc/self/statm")), as: UTF8.self)
            return try #require(Int(text.split(separator: " ")[1]))
        }
        let words = (0..<1000).map { "word \($0)" }
        let before = try resident()
        IdleMemory.trim()
        #expect(try resident() < before)
        #expect(words.sorted().first == "word 0" && Set(words).count == 1000)
    }
}
