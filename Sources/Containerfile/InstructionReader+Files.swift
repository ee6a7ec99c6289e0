extension InstructionReader {
    /// COPY [--from --chown --chmod --link --parents --exclude] source… destination
    func copy() throws(Mistake) -> Instruction.Kind {
        let flags = try flags(["from", "chown", "chmod", "link", "parents", "exclude"], repeated: ["exclude"])
        let (sources, destination) = try paths()
        var from: String?
        if let value = try value(flags["from"]?.first) {
            guard let literal = try WordParser.parse(value, escape: escape).literal, literal == value.string else {
                throw value.error(
                    .unsupported, at: 0, "variables are not expanded in --from",
                    suggestion: "name a stage here, and use the variable in that stage's FROM")
            }
            from = literal
        }
        if from != nil, let heredoc = documents.first {
            throw heredoc.marker.place.error(
                .invalid, at: 0, "a heredoc does not come from another stage", suggestion: "use a COPY of its own for it")
        }
        return .copy(
            CopyInstruction(
                sources: sources, destination: destination, from: from, options: try options(flags),
                keepsParents: try truth(flags["parents"]?.first) ?? false))
    }

    /// ADD [--chown --chmod --link --exclude --checksum --keep-git-dir --unpack] source… destination
    func add() throws(Mistake) -> Instruction.Kind {
        let flags = try flags(
            ["chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"], repeated: ["exclude"])
        let (sources, destination) = try paths()
        let checksum = try word(flags["checksum"]?.first)
        if let checksum, sources.count != 1 {
            throw Mistake(
                checksum.error(.invalid, "--checksum is of one source", suggestion: "use an ADD for each source"))
        }
        return .add(
            AddInstruction(
                sources: sources, destination: destination, options: try options(flags), checksum: checksum,
                keepsGitDirectory: try truth(flags["keep-git-dir"]?.first), unpacks: try truth(flags["unpack"]?.first)))
    }

    private func options(_ flags: [String: [Statement.Flag]]) throws(Mistake) -> CopyOptions {
        var options = CopyOptions(
            owner: try word(flags["chown"]?.first), mode: try word(flags["chmod"]?.first),
            isLinked: try truth(flags["link"]?.first) ?? false)
        for flag in flags["exclude"] ?? [] { options.excludes.append(try value(flag)?.string ?? "") }
        if let mode = options.mode, let literal = mode.literal {
            do { _ = try ModeChange(parsing: literal) } catch {
                throw Mistake(mode.error(.invalid, error.message, suggestion: error.hint))
            }
        }
        if let owner = options.owner, let literal = owner.literal {
            do { _ = try Ownership(parsing: literal) } catch {
                throw Mistake(owner.error(.invalid, error.message, suggestion: error.hint))
            }
        }
        return options
    }

    /// The sources, heredocs in their places, and the destination.
    private func paths() throws(Mistake) -> (sources: [CopySource], destination: Word) {
        let example = "\(statement.name) file /folder/"
        if case .none = JSONArray.parse(rest.scalars), !documents.isEmpty { return try pathsWithHeredocs() }
        var words = try words()
        guard words.count >= 2, let destination = words.popLast() else {
            throw missing("needs a source and a destination", example: example)
        }
        for word in words where word.literal?.isEmpty == true {
            throw Mistake(word.error(.invalid, "a source of \(statement.name) is empty", suggestion: "'.' is all of the context"))
        }
        return (words.map { .path($0) }, destination)
    }

    private func pathsWithHeredocs() throws(Mistake) -> (sources: [CopySource], destination: Word) {
        var sources: [CopySource] = []
        var fragments = try plainWords()
        guard let last = fragments.popLast(), !fragments.isEmpty else {
            throw missing("needs a destination", example: "\(statement.name) <<NAME /folder/")
        }
        guard HeredocMarker(last) == nil else {
            throw last.error(
                .invalid, at: 0, "a heredoc cannot be the destination", suggestion: "write the destination last")
        }
        var waiting = documents[...]
        for fragment in fragments {
            guard let marker = HeredocMarker(fragment) else {
                guard !fragment.scalars.starts(with: "<<".unicodeScalars) else {
                    throw fragment.error(
                        .invalid, at: 0, "the heredoc's name is not directly behind <<", suggestion: "write <<NAME")
                }
                sources.append(.path(try plainWord(fragment)))
                continue
            }
            guard let document = waiting.popFirst(), document.marker.name == marker.name else {
                throw fragment.error(.syntax, at: 0, "this heredoc cannot be read", suggestion: "write <<NAME or <<\"NAME\"")
            }
            sources.append(.heredoc(try heredoc(document)))
        }
        guard waiting.isEmpty else {
            throw rest.error(
                .syntax, at: 0, "a heredoc's name holds white space", suggestion: "write <<NAME, one word for each document")
        }
        return (sources, try plainWord(last))
    }

    private func heredoc(_ document: Document) throws(Mistake) -> Heredoc {
        let marker = document.marker
        guard !marker.hasDescriptor else {
            throw marker.place.error(
                .invalid, at: 0, "a file descriptor means nothing in \(statement.name)", suggestion: "write <<\(marker.name)")
        }
        guard !marker.isEscaped else {
            throw marker.place.error(
                .unsupported, at: 0, "a delimiter is not quoted by a backslash", suggestion: "write <<'\(marker.name)'")
        }
        guard !marker.name.contains("/"), marker.name != ".", marker.name != ".." else {
            throw marker.place.error(
                .invalid, at: 0, "the heredoc's name is a file name and holds no '/'",
                suggestion: "give the path as the destination")
        }
        let content = marker.stripsTabs ? HeredocMarker.withoutTabs(document.content) : document.content
        let fragment = Fragment(body: content, firstLine: document.first, text: rest.text)
        return Heredoc(
            name: marker.name,
            content: marker.isQuoted
                ? WordParser.literal(fragment) : try WordParser.parse(fragment, escape: escape, style: .heredoc))
    }
}

extension Mistake {
    /// The first mistake of an error that holds one.
    init(_ error: ContainerfileError) {
        self.init(code: error.code, diagnostic: error.diagnostics[0])
    }
}
