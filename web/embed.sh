#!/bin/sh
# Writes Assets.swift, which carries every file of this folder into the one binary. Run it after each change here;
# PageRendererTests fails while Assets.swift is behind. (SwiftPM's .embedInCode writes byte literals, on which the
# compiler spends half a minute; text literals cost nothing.)
set -eu
cd "$(dirname "$0")"

literal() { # key, file, how the entry goes on
    printf '        "%s": %s###"""\n' "$1" "$3"
    cat "$2"
    printf '\n"""###%s,\n' "$4"
}

{
    cat <<'HEAD'
// Written by embed.sh from the files of this folder; change those, not this.

/// The pages' templates and the files they link to, in the binary itself.
public enum WebAssets {
    /// Mustache templates by name, without `.mustache`.
    public static let templates: [String: String] = [
HEAD
    for file in templates/*.mustache; do
        name=${file#templates/}
        literal "${name%.mustache}" "$file" '' ''
    done
    cat <<'MIDDLE'
    ]

    /// What is served under `/assets/`, by name.
    public static let files: [String: (contentType: String, bytes: [UInt8])] = [
MIDDLE
    for file in css/*.css js/*.js images/*.svg; do
        case $file in
            *.css) type='text/css; charset=utf-8' ;;
            *.js) type='text/javascript; charset=utf-8' ;;
            *.svg) type='image/svg+xml' ;;
        esac
        literal "${file##*/}" "$file" "(\"$type\", Array(" '.utf8))'
    done
    printf '    ]\n}\n'
} > Assets.swift.new
mv Assets.swift.new Assets.swift
