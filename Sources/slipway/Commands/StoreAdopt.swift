import ArgumentParser
import StateStore

extension StoreCommand {
    struct Adopt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a PostgreSQL database belong to this data directory from now on.",
            discussion: """
                Example: slipway store adopt --data /var/lib/slipway

                A database belongs to the data directory of the first server that used it. This is for the day when that \
                directory is gone for good; runs, logs and images that were in it are not in this one.
                """)
        @OptionGroup var options: Options

        func run() async throws {
            let settings = try await ServerSettings.read(file: options.config, data: options.data, listen: nil, routerPort: nil)
            guard settings.store.isShared else {
                throw Failure("\(settings.store) belongs to no data directory", hint: "only a PostgreSQL database does", status: Failure.usage)
            }
            let folder = try DataFolder(settings.data, shared: true)
            do {
                _ = try await settings.store.open(connections: 1).register(
                    folder: try folder.id(), place: Belonging.place(of: folder), adopting: true)
            } catch let error as StateError {
                throw Failure(error)
            }
            print("\(settings.store) belongs to \(settings.data) now.")
        }
    }
}
