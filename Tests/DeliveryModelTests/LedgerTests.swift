import DeliveryModel
import Foundation
import OCIModel
import Testing

@Suite struct LedgerTests {
    private func chain() throws -> [LedgerRecord] {
        var records: [LedgerRecord] = []
        for (index, kind) in [LedgerEntry.Kind.built, .approved, .succeeded].enumerated() {
            let entry = LedgerEntry(
                kind: kind, actor: "ann", project: "gtin", pipeline: "main", release: 1, digest: .sha256([1]),
                remark: index == 1 ? "größer / \"fine\"\n" : nil)
            records.append(try LedgerRecord(entry, after: records.last, at: Int64(index)))
        }
        return records
    }

    private func export(_ records: [LedgerRecord]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for record in records { bytes += try OCIJSON.encode(record) + [0x0a] }
        let end = LedgerEnd(entries: Int64(records.count), head: records.last?.hash ?? LedgerRecord.genesis)
        return bytes + (try OCIJSON.encode(end)) + [0x0a]
    }

    @Test func anExportIsVerified() throws {
        let records = try chain()
        #expect(try LedgerVerifier.verify(export: export(records)) == LedgerEnd(entries: 3, head: records[2].hash))
        #expect(try LedgerVerifier.verify(export: export([])) == LedgerEnd(entries: 0, head: LedgerRecord.genesis))
        #expect(records[0].previous == LedgerRecord.genesis && records[1].previous == records[0].hash)
    }

    @Test func oneFlippedByteIsFoundWhereverItIs() throws {
        let bytes = try export(try chain())
        for index in bytes.indices {
            for bit in 0..<8 as Range<UInt8> {
                var changed = bytes
                changed[index] ^= 1 << bit
                #expect(throws: LedgerVerifier.Broken.self, "byte \(index), bit \(bit)") { try LedgerVerifier.verify(export: changed) }
            }
            var shorter = bytes
            shorter.remove(at: index)
            #expect(throws: LedgerVerifier.Broken.self) { try LedgerVerifier.verify(export: shorter) }
            #expect(throws: LedgerVerifier.Broken.self) { try LedgerVerifier.verify(export: Array(bytes[..<index])) }
        }
    }

    @Test func whatIsLeftOutOrMovedIsNamed() throws {
        let records = try chain()
        for (changed, place) in [([records[0], records[2]], 2), ([records[1], records[0], records[2]], 1), (Array(records[1...]), 1)] {
            do {
                _ = try LedgerVerifier.verify(export: export(changed))
                Issue.record("it passed")
            } catch let error as LedgerVerifier.Broken {
                #expect(error.place == Int64(place))
            }
        }
        // The same words with other spacing are another file.
        let text = String(decoding: try export(records), as: UTF8.self).replacing("\"number\":2", with: "\"number\": 2")
        do {
            _ = try LedgerVerifier.verify(export: Array(text.utf8))
            Issue.record("it passed")
        } catch let error as LedgerVerifier.Broken {
            #expect(error.place == 2 && error.reason == "the line is not written as an export writes it")
        }
    }
}
