import ArgumentParser
import DeliveryModel
import Foundation
import OCIModel
import WebServer

struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "What was built, approved, deployed and rolled back, by whom: a chain that cannot be changed unseen.",
        subcommands: [Show.self, Export.self, Verify.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the last entries.", discussion: "Example: slipway ledger show --project gtin --limit 20")
        @Option(help: "Only this project.") var project: String?
        @Option(help: "How many, at most 1000.") var limit = 50
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let filter = project.map { "&project=\(segment($0))" } ?? ""
            let ledger: LedgerValue = try await Client().get("/ledger?newest=true&limit=\(min(max(limit, 1), 1000))\(filter)")
            if json { return try printJSON(ledger.records) }
            printTable(
                [["NUMBER", "TIME", "WHAT", "WHO", "PROJECT", "STAGE", "DIGEST", "COMMIT", "REMARK"]]
                    + ledger.records.map(\.entry).map { entry in
                        [
                            "\(entry.number)", Moment.text(Double(entry.at) / 1000), entry.kind.rawValue, entry.actor, entry.project,
                            entry.stage ?? "", entry.digest.short, String(entry.commit?.prefix(7) ?? ""),
                            String(entry.remark?.split(whereSeparator: \.isNewline).first?.prefix(80) ?? ""),
                        ]
                    })
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write the whole ledger to a file, one JSON document a line.",
            discussion: """
                Example: slipway ledger export ledger.jsonl

                The last line holds the number of entries and the last hash. Keep that hash elsewhere: with it 'verify --head' also \
                finds a file that was cut off or written anew.
                """)
        @Argument(help: "The file; replaced when it is there.") var file: String
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            var verifier = LedgerVerifier()
            var text: [UInt8] = []
            try await follow(&verifier) { text += try OCIJSON.encode($0) + [0x0a] }
            text += try OCIJSON.encode(verifier.end) + [0x0a]
            try Data(text).write(to: URL(fileURLWithPath: file), options: .atomic)
            if json { return try printJSON(verifier.end) }
            print("\(verifier.end.entries) entries, the last hash is \(verifier.end.head)")
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check the chain, of a server or of an exported file.",
            discussion: """
                Example: slipway ledger verify
                Example: slipway ledger verify ledger.jsonl --head 5d3c…

                A file is checked without a server, byte by byte. The first entry that does not fit is named, with exit status 1.
                """)
        @Argument(help: "An exported file; left out: the server's ledger.") var file: String?
        @Option(help: "A hash that must be in the chain, noted down before.") var head: String?
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let end: LedgerEnd
            do {
                end = try await check()
            } catch let broken as LedgerVerifier.Broken {
                throw Failure(
                    "entry \(broken.place) does not fit: \(broken.reason)",
                    hint: "compare it with an older export; what comes before it is as it was written")
            }
            if json { return try printJSON(end) }
            print("\(end.entries) entries fit, the last hash is \(end.head)")
        }

        private func check() async throws -> LedgerEnd {
            var seen: Set<String> = [LedgerRecord.genesis]
            let end: LedgerEnd
            if let file {
                guard let data = FileManager.default.contents(atPath: file) else {
                    throw Failure("\(file) cannot be read", hint: "name a file that 'slipway ledger export' wrote", status: Failure.usage)
                }
                let bytes = Array(data)
                end = try LedgerVerifier.verify(export: bytes)
                for line in bytes.split(separator: 0x0a) {
                    if let record = try? OCIJSON.decode(LedgerRecord.self, from: Array(line)) { seen.insert(record.hash) }
                }
            } else {
                var verifier = LedgerVerifier()
                try await follow(&verifier) { seen.insert($0.hash) }
                end = verifier.end
            }
            if let head, !seen.contains(head) {
                throw Failure("no entry has the hash \(head)", hint: "the chain was cut off or written anew since that hash was noted")
            }
            return end
        }
    }
}

/// Reads a server's whole chain and checks it on the way.
private func follow(_ verifier: inout LedgerVerifier, _ each: (LedgerRecord) throws -> Void) async throws {
    let client = Client()
    var next: Int64 = 0
    while true {
        let part: LedgerValue = try await client.get("/ledger?after=\(next)&limit=1000")
        for record in part.records {
            try verifier.follow(record)
            try each(record)
        }
        if part.complete { return }
        next = part.next
    }
}
