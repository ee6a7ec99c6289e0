// swift-tools-version: 6.1
import PackageDescription

/// Warnings are errors where SLIPWAY_WERROR is set (CI), so that a newer compiler never breaks a user's build.
let strict: [SwiftSetting] =
    Context.environment["SLIPWAY_WERROR"] == nil ? [] : [.unsafeFlags(["-warnings-as-errors"])]

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + strict

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let configuration: Target.Dependency = .product(name: "Configuration", package: "swift-configuration")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTesting: Target.Dependency = .product(name: "HummingbirdTesting", package: "hummingbird")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let mustache: Target.Dependency = .product(name: "Mustache", package: "swift-mustache")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioFileSystem: Target.Dependency = .product(name: "_NIOFileSystem", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let serviceLifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

/// A C library of the system, found by pkg-config.
func library(_ name: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

/// A room of the house: `Sources/<name>`, and `Tests/<name>Tests` when `tests` is not nil.
func room(_ name: String, _ dependencies: [Target.Dependency], tests: [Target.Dependency]? = nil) -> [Target] {
    var targets: [Target] = [.target(name: name, dependencies: dependencies, swiftSettings: settings)]
    if let tests {
        targets.append(
            .testTarget(
                name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies + tests,
                swiftSettings: settings))
    }
    return targets
}

/// The released executable carries Swift's libraries inside: it needs no toolchain where it runs, and starts a quarter faster. What a
/// static Foundation needs besides must be named, as dependencies are compiled for either way of linking.
let selfContained: [LinkerSetting] = [
    .unsafeFlags(
        ["-static-stdlib"]
            + [
                "FoundationEssentials", "FoundationInternationalization", "_FoundationCShims", "_FoundationCollections",
                "Foundation", "CoreFoundation", "FoundationInternationalization", "_FoundationICU", "stdc++",
            ].map { "-l\($0)" },
        .when(configuration: .release))
]

let package = Package(
    name: "slipway",
    products: [.executable(name: "slipway", targets: ["slipway"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        [
            library("CIsal", pkgConfig: "libisal", package: "libisal-dev"),
            library("CLibarchive", pkgConfig: "libarchive", package: "libarchive-dev"),
            library("CLibgit2", pkgConfig: "libgit2", package: "libgit2-dev"),
            library("CPostgres", pkgConfig: "libpq", package: "libpq-dev"),
            library("CZstd", pkgConfig: "libzstd", package: "libzstd-dev"),
            .systemLibrary(name: "CLinux"),
        ],
        room("BlockingQueue", [], tests: []),
        room("Diagnostics", []),
        room("OCIModel", [crypto]),
        room("DeliveryModel", ["OCIModel"], tests: ["Simulation"]),
        room("GitRepository", ["BlockingQueue", "CLibgit2", system], tests: ["FreePort"]),
        room("TarArchive", ["BlockingQueue", "CIsal", "CLibarchive", "CZstd", "OCIModel", system], tests: []),
        room("ImageStore", ["BlockingQueue", "OCIModel", "TarArchive", system], tests: []),
        room(
            "RegistryClient",
            [
                "BlockingQueue", "CLinux", "ImageStore", "OCIModel", "TarArchive", asyncHTTPClient, logging, nioCore,
                nioFileSystem, nioHTTP1, nioPosix, nioSSL, system,
            ], tests: ["FreePort", "ImageBuilder", "LoopbackServer", "RegistryServer", "slipway", httpTypes, hummingbird]),
        room("ImageBuilder", ["BlockingQueue", "CLinux", "ImageStore", "OCIModel", "TarArchive", crypto, system], tests: []),
        room(
            "RegistryServer", ["ImageStore", "OCIModel", crypto, httpTypes, hummingbird, logging, nioCore, system],
            tests: ["LoopbackServer", asyncHTTPClient, nioHTTP1, nioPosix]),
        room("ContainerRuntime", ["BlockingQueue", "CLinux", "TarArchive", system], tests: []),
        room("Containerfile", ["Diagnostics", "OCIModel"], tests: []),
        room(
            "ContainerfileBuild",
            ["BlockingQueue", "CLinux", "Containerfile", "ContainerRuntime", "ImageStore", "OCIModel", "TarArchive", system],
            tests: []),
        room("PipelineFile", ["DeliveryModel", "Diagnostics", "OCIModel", yams], tests: []),
        room("StateStore", ["DeliveryModel", "OCIModel", crypto]),
        room(
            "Deployer",
            [
                "BlockingQueue", "CLinux", "ContainerRuntime", "DeliveryModel", "ImageStore", "OCIModel", asyncHTTPClient, logging,
                nioCore, nioHTTP1, nioPosix, nioSSL, serviceLifecycle, subprocess, system,
            ], tests: ["DockerDaemon", "FreePort", "ImageBuilder", "LoopbackServer", "RegistryServer", "SSHServer", httpTypes, hummingbird]),
        room("LoadGenerator", ["DeliveryModel", asyncHTTPClient, nioCore, nioHTTP1, nioPosix], tests: ["FreePort"]),
        room("StateSQLite", ["DeliveryModel", "OCIModel", "StateStore", grdb, system]),
        room("StatePostgres", ["BlockingQueue", "CPostgres", "DeliveryModel", "OCIModel", "StateStore"]),
        [
            .target(name: "DockerDaemon", path: "Tests/Support/DockerDaemon", swiftSettings: settings),
            .target(
                name: "LoopbackServer", dependencies: [hummingbird, logging], path: "Tests/Support/LoopbackServer", swiftSettings: settings),
            .target(name: "SSHServer", dependencies: ["DockerDaemon"], path: "Tests/Support/SSHServer", swiftSettings: settings),
            .target(name: "FreePort", path: "Tests/Support/FreePort", swiftSettings: settings),
            .target(name: "PostgresCluster", dependencies: ["FreePort"], path: "Tests/Support/PostgresCluster", swiftSettings: settings),
            .testTarget(
                name: "StateStoreTests",
                dependencies: [
                    "BlockingQueue", "DeliveryModel", "PostgresCluster", "OCIModel", "StatePostgres", "StateSQLite", "StateStore", grdb, system,
                ], swiftSettings: settings),
        ],
        room(
            "PipelineEngine",
            [
                "BlockingQueue", "ContainerRuntime", "ContainerfileBuild", "DeliveryModel", "Deployer", "GitRepository",
                "ImageBuilder", "ImageStore", "OCIModel", "PipelineFile", "RegistryClient", "StateStore", asyncHTTPClient, crypto,
                logging, nioCore, nioHTTP1, serviceLifecycle, system,
            ], tests: ["Recorder", "StateSQLite"]),
        [
            .target(
                name: "WebAssets", path: "web", exclude: ["templates", "css", "js", "images", "embed.sh"],
                sources: ["Assets.swift"], swiftSettings: settings)
        ],
        room(
            "WebServer",
            [
                "ContainerRuntime", "DeliveryModel", "GitRepository", "ImageStore", "OCIModel", "PipelineEngine",
                "PipelineFile", "RegistryServer", "StateStore", "WebAssets", crypto, httpTypes, hummingbird, hummingbirdCore, logging,
                mustache, nioCore, nioHTTP1, nioPosix, serviceLifecycle,
            ], tests: ["BlockingQueue", hummingbirdTesting]),
        [
            .executableTarget(
                name: "slipway",
                dependencies: [
                    "BlockingQueue", "CLinux", "ContainerRuntime", "Containerfile", "ContainerfileBuild", "DeliveryModel", "Deployer",
                    "GitRepository", "ImageBuilder", "ImageStore", "LoadGenerator", "OCIModel", "PipelineEngine", "PipelineFile",
                    "RegistryClient", "RegistryServer", "StatePostgres", "StateSQLite", "StateStore", "TarArchive", "WebServer", argumentParser,
                    asyncHTTPClient, configuration, hummingbird, logging, nioCore, nioHTTP1, serviceLifecycle, system, yams,
                ],
                swiftSettings: settings, linkerSettings: selfContained),
            .testTarget(name: "ArchitectureTests", swiftSettings: settings),
            .target(
                name: "Simulation", dependencies: ["DeliveryModel", "OCIModel"], path: "Tests/Support/Simulation",
                swiftSettings: settings),
            .executableTarget(name: "simulate", dependencies: ["Simulation"], path: "Tests/Simulate", swiftSettings: settings),
            .target(
                name: "Recorder", dependencies: [nioCore, nioHTTP1, nioPosix], path: "Tests/Recorder", swiftSettings: settings),
            .testTarget(
                name: "EndToEndTests",
                dependencies: [
                    "ContainerRuntime", "DeliveryModel", "Deployer", "DockerDaemon", "FreePort", "OCIModel", "PostgresCluster", "Recorder",
                    "SSHServer",
                    "StateSQLite", "StateStore", "slipway", configuration, system,
                ],
                swiftSettings: settings),
        ],
    ].flatMap { $0 },
    swiftLanguageModes: [.v6]
)
