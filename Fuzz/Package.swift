// swift-tools-version: 6.1
import PackageDescription

/// Fuzz targets over the sources of the main package: the folders in `Sources` are links to them. A package of its own,
/// because coverage and AddressSanitizer go through everything that is built here. Use `scripts/fuzz`.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library"]),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

func library(_ name: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// `Targets/<name>`: calls libFuzzer with its one function.
func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Targets/\(name)", swiftSettings: settings,
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])])
}

let package = Package(
    name: "fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        library("CIsal", pkgConfig: "libisal", package: "libisal-dev"),
        library("CLibarchive", pkgConfig: "libarchive", package: "libarchive-dev"),
        library("CZstd", pkgConfig: "libzstd", package: "libzstd-dev"),
        room("BlockingQueue", []),
        room("Diagnostics", []),
        room("OCIModel", [crypto]),
        room("TarArchive", ["BlockingQueue", "CIsal", "CLibarchive", "CZstd", "OCIModel", system]),
        room("Containerfile", ["Diagnostics", "OCIModel"]),
        .target(name: "Driver", path: "Targets/Driver"),
        fuzzer("Tar", ["Driver", "TarArchive", system]),
        fuzzer("Layer", ["Driver", "TarArchive", system]),
        fuzzer("Documents", ["Driver", "OCIModel"]),
        fuzzer("BuildFiles", ["Containerfile", "Driver", "OCIModel"]),
    ],
    swiftLanguageModes: [.v6]
)
