import Foundation
import TarArchive

extension LayerLimits {
    /// The limits of layers with what the settings say instead: `layers.max_…` in the configuration, `SLIPWAY_LAYERS_MAX_…` in
    /// the environment. `value` returns a setting's text, nil when it is not set.
    static func read(_ value: (Name) -> String?) throws -> LayerLimits {
        var limits = LayerLimits()
        for name in Name.allCases {
            guard let text = value(name) else { continue }
            guard let number = Int64(text), number > 0 else {
                throw Failure("\(name.rawValue): '\(text)' is not a limit", hint: "write a whole number above 0", status: Failure.usage)
            }
            limits[name] = number
        }
        return limits
    }

    /// The limits of a command, which has no configuration file.
    static func read(environment: [String: String]) throws -> LayerLimits { try read { environment[$0.variable] } }
}
