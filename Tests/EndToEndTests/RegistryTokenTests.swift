import Foundation
import Testing

extension EndToEnd {
    private func status(_ method: String, _ url: String, _ authorization: String?) async throws -> (status: Int, body: String) {
        let answer = try await http(method, url, headers: authorization.map { ["Authorization": $0] } ?? [:])
        return (answer.status, answer.body)
    }

    private func bearer(_ server: ServerFixture, _ secret: String?, _ scope: String) async throws -> String {
        struct Answer: Decodable { let token: String }
        let answer = try await http(
            "GET", "\(server.url)/registry/token?service=slipway&scope=\(scope)",
            headers: secret.map { ["Authorization": "Basic " + Data("ci:\($0)".utf8).base64EncodedString()] } ?? [:])
        #expect(answer.status == 200, "\(answer.body)")
        return "Bearer " + (try JSONDecoder().decode(Answer.self, from: Data(answer.body.utf8)).token)
    }

    @Test("Tokens: pull and push where their patterns say, the flow docker uses, 401 for the unknown, 403 for the known, gone when revoked")
    func registryTokens() async throws {
        try await ServerFixture.with { server in
            let created = try await server.slipway("token", "create", "ci", "--pull", "library/*", "--push", "shop/gtin", "--expires", "1h")
            let secret = created.output.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(created.status == 0 && secret.hasPrefix("slipway_"), "\(created)")
            let listed = try await server.slipway("token", "list").output
            #expect(listed.contains("ci") && listed.contains("library/*") && listed.contains("shop/gtin") && !listed.contains(secret))
            #expect(try await server.slipway("token", "create", "ci", "--pull", "x").status != 0)
            #expect(try await server.slipway("token", "create", "none").status != 0)

            let base = "\(server.url)/v2"
            let upload = "\(base)/shop/gtin/blobs/uploads/"
            let push = try await bearer(server, secret, "repository:shop/gtin:pull,push")
            #expect(!push.contains(secret) && !push.contains(server.token))
            #expect(try await status("POST", upload, push).status == 202)
            // A grant is good for what it names alone, though its owner may do more.
            let narrow = try await bearer(server, secret, "repository:library/busybox:pull")
            let insufficient = try await http("POST", upload, headers: ["Authorization": narrow])
            #expect(insufficient.status == 401 && insufficient.body.contains("UNAUTHORIZED"))
            // Asked for more than it may: gets less.
            let wide = try await bearer(server, secret, "repository:library/busybox:pull,push")
            let denied = try await status("POST", "\(base)/library/busybox/blobs/uploads/", wide)
            #expect(denied.status == 403 && denied.body.contains("DENIED"))
            #expect(try await status("GET", "\(base)/library/busybox/manifests/1", wide).status == 200)
            // Credentials themselves are taken too, as is OAuth's form.
            let basic = "Basic " + Data("any:\(secret)".utf8).base64EncodedString()
            #expect(try await status("POST", upload, basic).status == 202)
            let form = "grant_type=password&username=ci&password=\(secret)&service=slipway&scope=repository%3Ashop%2Fgtin%3Apush"
            let oauth = try await http(
                "POST", "\(server.url)/registry/token", headers: ["Content-Type": "application/x-www-form-urlencoded"], body: Data(form.utf8))
            #expect(oauth.status == 200 && oauth.body.contains("access_token"))
            // Neither a registry token nor a grant opens the API.
            #expect(try await status("GET", "\(server.url)/api/v1/tokens", push).status == 401)
            #expect(try await status("GET", "\(server.url)/api/v1/tokens", "Bearer \(secret)").status == 401)

            #expect(try await server.slipway("token", "revoke", "ci").status == 0)
            #expect(try await status("POST", upload, push).status == 401)
            #expect(try await status("POST", upload, basic).status == 401)
            #expect(try await server.slipway("token", "revoke", "ci").status != 0)

            let metrics = try await status("GET", "\(server.url)/metrics", nil)
            #expect(metrics.status == 200 && metrics.body.contains("slipway_registry_requests_total{operation=\"upload_post\",status=\"202\"}"))
            #expect(metrics.body.contains("slipway_store_blobs ") && metrics.body.contains("slipway_gc_runs_total 0"))
        }
    }

    @Test("Garbage: the server collects when asked, keeps what a stage runs, and refuses another collector beside it")
    func collection() async throws {
        try await ServerFixture.with { server in
            let rehearsal = try await server.slipway("image", "gc", "--server", "--dry-run", "--json")
            #expect(rehearsal.status == 0 && rehearsal.output.contains("\"blobsRemoved\" : 0"), "\(rehearsal)")
            let beside = try await server.slipway("image", "gc", "--data", server.data.path)
            #expect(beside.status == 3 && beside.errors.contains("--server"), "\(beside)")
            #expect(try await server.slipway("image", "gc", "--server").status == 0)
            #expect(try await http("GET", "\(server.url)/metrics").body.contains("slipway_gc_runs_total 1"))
        }
    }
}
