import DeliveryModel
import OCIModel
import Testing

/// Who counts: every case allowed or refused with its reason.
@Suite struct ApprovalTests {
    static let image = Digest.sha256([1])
    static let other = Digest.sha256([2])
    static let subject = ApprovalSubject(digest: image, configuration: "one")
    static let people = People([
        "ann": .init(emails: ["Ann@example.com"], groups: ["sre"]), "bob": .init(emails: ["bob@example.com"], groups: ["sre", "dev"]),
        "eve": .init(emails: [], groups: ["dev"]), "max": .init(),
    ])

    struct Case: Sendable, CustomTestStringConvertible {
        var what: String
        var count = 1
        var from: [String] = []
        var notAuthor = false
        var author = "Ann Example"
        var emails = ["ann@example.com"]
        var expiresAt: Double?
        /// `+ann`: yes; `-ann`: no; with a digest or configuration after `/`.
        var before: [String] = []
        var vote: String
        var time = 100.0
        /// After the vote, or without it where it is refused.
        var expected: ApprovalDecision

        var testDescription: String { what }
        var request: ApprovalRequest {
            ApprovalRequest(
                rule: ApprovalRule(count: count, from: from, notAuthor: notAuthor), subject: subject,
                authors: CommitAuthors(name: author, emails: emails), expiresAt: expiresAt, people: people)
        }

        static func parse(_ text: String) -> ApprovalVote {
            let parts = text.dropFirst().split(separator: "/")
            var subject = ApprovalTests.subject
            if parts.count > 1 {
                if parts[1] == "other" { subject.digest = other } else { subject.configuration = String(parts[1]) }
            }
            return ApprovalVote(actor: String(parts[0]), approved: text.hasPrefix("+"), subject: subject)
        }
    }

    static let sre = ["group:sre"]
    static let cases: [Case] = [
        // Anyone who is known.
        Case(what: "one of one", vote: "+ann", expected: .allowed),
        Case(what: "one of one, by somebody without groups", vote: "+max", expected: .allowed),
        Case(what: "one of one, by the administrator", vote: "+admin", expected: .allowed),
        Case(what: "a stranger", vote: "+zoe", expected: .refused(.unknownPerson("zoe"))),
        Case(what: "nobody", vote: "+ ", expected: .refused(.unknownPerson(" "))),
        Case(what: "a name in another case is another name", vote: "+Ann", expected: .refused(.unknownPerson("Ann"))),
        Case(what: "slipway itself", vote: "+slipway", expected: .refused(.unknownPerson("slipway"))),
        // Counting.
        Case(what: "one of two", count: 2, vote: "+ann", expected: .waiting(missing: 1, from: ["bob", "eve", "max"])),
        Case(what: "two of two", count: 2, before: ["+bob"], vote: "+ann", expected: .allowed),
        Case(what: "one of three", count: 3, vote: "+eve", expected: .waiting(missing: 2, from: ["ann", "bob", "max"])),
        Case(what: "two of three", count: 3, before: ["+bob"], vote: "+eve", expected: .waiting(missing: 1, from: ["ann", "max"])),
        Case(what: "three of three", count: 3, before: ["+bob", "+ann"], vote: "+eve", expected: .allowed),
        Case(what: "the same person twice", count: 2, before: ["+ann"], vote: "+ann", expected: .refused(.decidedAlready("ann"))),
        Case(what: "a yes cannot become a no", count: 2, before: ["+ann"], vote: "-ann", expected: .refused(.decidedAlready("ann"))),
        Case(what: "the administrator counts once", count: 2, before: ["+admin"], vote: "+admin", expected: .refused(.decidedAlready("admin"))),
        Case(what: "the administrator and one more", count: 2, before: ["+admin"], vote: "+max", expected: .allowed),
        // From.
        Case(what: "of the group", from: sre, vote: "+ann", expected: .allowed),
        Case(what: "not of the group", from: sre, vote: "+eve", expected: .refused(.notAmongThose("eve", from: sre))),
        Case(what: "the administrator is of every group", from: sre, vote: "+admin", expected: .allowed),
        Case(what: "a group nobody is in", from: ["group:none"], vote: "+ann", expected: .refused(.notAmongThose("ann", from: ["group:none"]))),
        Case(what: "a stranger is no member", from: sre, vote: "+zoe", expected: .refused(.unknownPerson("zoe"))),
        Case(what: "by name", from: ["eve"], vote: "+eve", expected: .allowed),
        Case(what: "by name with user:", from: ["user:eve"], vote: "+eve", expected: .allowed),
        Case(what: "another name", from: ["eve"], vote: "+max", expected: .refused(.notAmongThose("max", from: ["eve"]))),
        Case(what: "a group is not a name", from: ["sre"], vote: "+ann", expected: .refused(.notAmongThose("ann", from: ["sre"]))),
        Case(what: "a name or a group", from: ["group:sre", "max"], vote: "+max", expected: .allowed),
        Case(
            what: "two of the group, one given", count: 2, from: sre, vote: "+ann", expected: .waiting(missing: 1, from: ["bob"])),
        Case(what: "two of the group", count: 2, from: sre, before: ["+ann"], vote: "+bob", expected: .allowed),
        Case(
            what: "one who left the group since does not count", count: 2, from: sre, before: ["+eve"], vote: "+ann",
            expected: .waiting(missing: 1, from: ["bob"])),
        Case(
            what: "one who left the server since does not count", count: 2, before: ["+zoe"], vote: "+ann",
            expected: .waiting(missing: 1, from: ["bob", "eve", "max"])),
        // The author.
        Case(what: "the author, where that is no matter", vote: "+ann", expected: .allowed),
        Case(what: "the author by address", notAuthor: true, vote: "+ann", expected: .refused(.isAuthor("ann"))),
        Case(
            what: "the author by address in another case", notAuthor: true, emails: ["ANN@EXAMPLE.COM"], vote: "+ann",
            expected: .refused(.isAuthor("ann"))),
        Case(what: "the author by name", notAuthor: true, author: "Eve", emails: ["eve@home"], vote: "+eve", expected: .refused(.isAuthor("eve"))),
        Case(
            what: "a co-author", notAuthor: true, author: "X", emails: ["x@example.com", "bob@example.com"], vote: "+bob",
            expected: .refused(.isAuthor("bob"))),
        Case(what: "somebody else than the author", notAuthor: true, vote: "+bob", expected: .allowed),
        Case(what: "the author may say no", notAuthor: true, vote: "-ann", expected: .refused(.rejected(by: "ann"))),
        Case(what: "the author is not waited for", count: 2, notAuthor: true, vote: "+bob", expected: .waiting(missing: 1, from: ["eve", "max"])),
        Case(what: "an author nobody knows", notAuthor: true, author: "Y", emails: ["y@y"], vote: "+ann", expected: .allowed),
        Case(
            what: "the author's yes from before does not count", count: 2, notAuthor: true, before: ["+ann"], vote: "+bob",
            expected: .waiting(missing: 1, from: ["eve", "max"])),
        // What it is for.
        Case(what: "another image", vote: "+ann/other", expected: .refused(.otherDigest)),
        Case(what: "another configuration", vote: "+ann/two", expected: .refused(.otherConfiguration)),
        Case(what: "a no for another image", vote: "-ann/other", expected: .refused(.otherDigest)),
        Case(
            what: "a yes for another image does not count", count: 2, before: ["+bob/other"], vote: "+ann",
            expected: .waiting(missing: 1, from: ["bob", "eve", "max"])),
        Case(
            what: "a yes for another configuration does not count", count: 2, before: ["+bob/two"], vote: "+ann",
            expected: .waiting(missing: 1, from: ["bob", "eve", "max"])),
        Case(what: "the same person again, for what it is now", count: 2, before: ["+bob/two", "+ann"], vote: "+bob", expected: .allowed),
        Case(what: "a no for another image does not end it", before: ["-bob/other"], vote: "+ann", expected: .allowed),
        // Time.
        Case(what: "in time", expiresAt: 101, vote: "+ann", expected: .allowed),
        Case(what: "at the end of the time", expiresAt: 100, vote: "+ann", expected: .refused(.expired)),
        Case(what: "too late", expiresAt: 99, vote: "+ann", expected: .refused(.expired)),
        Case(what: "a no too late", expiresAt: 99, vote: "-ann", expected: .refused(.expired)),
        Case(what: "too late for the second", count: 2, expiresAt: 99, before: ["+bob"], vote: "+ann", expected: .refused(.expired)),
        // The end.
        Case(what: "a no", vote: "-ann", expected: .refused(.rejected(by: "ann"))),
        Case(what: "a no after a yes", count: 2, before: ["+bob"], vote: "-ann", expected: .refused(.rejected(by: "ann"))),
        Case(what: "a yes after a no", before: ["-bob"], vote: "+ann", expected: .refused(.rejected(by: "bob"))),
        Case(what: "a no of a stranger", vote: "-zoe", expected: .refused(.unknownPerson("zoe"))),
        Case(what: "a no of one who does not decide", from: sre, vote: "-eve", expected: .refused(.notAmongThose("eve", from: sre))),
        Case(what: "a yes after enough of them", before: ["+bob"], vote: "+ann", expected: .refused(.isOver)),
        Case(what: "a no after enough of them", before: ["+bob"], vote: "-ann", expected: .refused(.isOver)),
    ]

    @Test(arguments: cases) func everyVoteCountsOrSaysWhyNot(_ item: Case) {
        let votes = item.before.map(Case.parse)
        let vote = Case.parse(item.vote)
        let request = item.request
        if let refusal = request.refusal(of: vote, after: votes, at: item.time) {
            #expect(item.expected == .refused(refusal))
            #expect(!refusal.reason.isEmpty && !refusal.hint.isEmpty)
            return
        }
        let others = votes.filter { $0.actor != vote.actor }
        #expect(request.decision(others + [vote], at: item.time) == item.expected)
    }

    @Test func thereAreManyCasesAndEachNamed() {
        #expect(Self.cases.count >= 40)
        #expect(Set(Self.cases.map(\.what)).count == Self.cases.count)
    }

    @Test func coauthorsAreReadFromTrailers() {
        let message = "Sell boats\n\nCo-authored-by: Bob <bob@example.com>\r\nco-Authored-By: Eve <eve@example.com>\nCo-authored-by: nobody\n"
        #expect(CommitAuthors.coauthors(inMessage: message) == ["bob@example.com", "eve@example.com"])
    }

    @Test func aSecretSetAnewMakesAnotherConfiguration() {
        let base = Configuration.base(service: [1], stage: [2])
        let one = Configuration.digest(base: base, secrets: ["a": [1], "b": [1]], names: ["a"])
        #expect(Configuration.digest(base: base, secrets: ["a": [1], "b": [2]], names: ["a", "a"]) == one)
        #expect(Configuration.digest(base: base, secrets: ["a": [2], "b": [1]], names: ["a"]) != one)
        #expect(Configuration.digest(base: base, secrets: [:], names: ["a"]) != one)
        #expect(Configuration.digest(base: base, secrets: ["a": [1], "b": [1]], names: ["a", "b"]) != one)
        #expect(Configuration.base(service: [1], stage: [3]) != base && Configuration.base(service: [3], stage: [2]) != base)
    }
}
