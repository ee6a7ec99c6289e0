import Foundation

/// A git repository with a service: a page that tells its version, and `/healthz`, served by busybox.
struct SampleRepository {
    let folder: URL

    /// The first process of a container has no default for SIGTERM; without the trap every stop would take ten seconds.
    static let server = #"[/bin/sh, -c, "trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait"]"#
    /// Takes its time until it is healthy.
    static let slowServer = #"[/bin/sh, -c, "trap 'exit 0' TERM; sleep 3; httpd -f -p 80 -h /www & wait"]"#
    /// A command of a first step that ends when ``ServerFixture/letGo(_:)`` is called.
    static let wait = "while test ! -e go; do sleep 0.1; done"
    static let steps = """
          - name: test
            image: library/busybox:1
            commands: [grep -q version www/index.html]
          - name: package
            image: library/busybox:1
            depends_on: [test]
            commands: [mkdir -p dist, cp -R www dist/]
        """

    static func pipeline(steps: String = steps, entrypoint: String = server, replicas: Int = 1, image: String = "shop/sample") -> String {
        """
        when: [{event: push, branch: main}]
        steps:
        \(steps)
        build:
          image: \(image)
          base: library/busybox:1
          copy: [{from: dist/www, to: /www}]
          entrypoint: \(entrypoint)
        service:
          port: 80
          health: {path: /healthz, interval: 100ms, timeout: 5s, healthy: 2, grace: 20s}
          replicas: \(replicas)
        stages:
          - {name: dev, target: local, host: dev.localhost, drain: 1s}
          - {name: prod, after: dev, target: local, host: prod.localhost, approval: {count: 1}, drain: 1s}

        """
    }

    /// One that is there already.
    init(made folder: URL) { self.folder = folder }

    init(_ folder: URL) async throws {
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try await git("init", "-q", "-b", "main")
        try write("ok\n", to: "www/healthz")
    }

    func write(_ text: String, to path: String) throws {
        let file = folder.appendingPathComponent(path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    /// Commits a version with its pipeline and returns the commit.
    @discardableResult
    func commit(version: String, pipeline: String = pipeline()) async throws -> String {
        try write("version \(version)\n", to: "www/index.html")
        try write(pipeline, to: "pipelines/sample.yaml")
        try await git("add", ".")
        try await git("commit", "-q", "-m", "Version \(version)")
        return try await git("rev-parse", "HEAD")
    }

    @discardableResult
    func git(_ arguments: String...) async throws -> String {
        let outcome = try await command(
            "/usr/bin/git", ["-C", folder.path] + arguments,
            environment: [
                "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "Ada",
                "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
            ])
        guard outcome.status == 0 else { throw Failed("git \(arguments): \(outcome.errors)") }
        return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
