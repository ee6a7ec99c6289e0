/// The steps of a run as a graph, laid out in columns by their longest way from the start.
public struct StepGraph: Sendable {
    /// A node to draw: a step, the image, a stage.
    public struct Step: Sendable {
        public var name: String
        public var badge: StateBadge
        public var detail: String
        public var dependsOn: [String]
        /// Where a click leads; the panel of the step when nil.
        public var href: String?

        public init(name: String, badge: StateBadge, detail: String, dependsOn: [String], href: String? = nil) {
            self.name = name
            self.badge = badge
            self.detail = detail
            self.dependsOn = dependsOn
            self.href = href
        }
    }

    struct Node: Sendable {
        let label: String
        let title: String
        let href: String
        let tone: String
        let icon: String
        let detail: String
        let x: Int, y: Int
        let iconX: Int, iconY: Int
        let textX: Int, nameY: Int, detailY: Int
    }

    struct Edge: Sendable {
        let path: String
    }

    static let nodeWidth = 176, nodeHeight = 48, columnGap = 44, rowGap = 14, margin = 3
    /// More steps than this are not drawn: a picture of them would help nobody.
    static let stepLimit = 200

    let nodes: [Node]
    let edges: [Edge]
    public let width: Int
    public let height: Int
    let nodeW = nodeWidth
    let nodeH = nodeHeight

    /// - Returns: nil when there is nothing worth drawing. Unknown and circular dependencies are ignored.
    public init?(steps: [Step]) {
        guard !steps.isEmpty, steps.count <= Self.stepLimit else { return nil }
        let levels = Self.levels(of: steps)
        var rows: [Int: Int] = [:]
        var places: [String: (x: Int, y: Int)] = [:]
        var nodes: [Node] = []
        for step in steps where places[step.name] == nil {
            let column = levels[step.name] ?? 0
            let row = rows[column, default: 0]
            rows[column] = row + 1
            let x = Self.margin + column * (Self.nodeWidth + Self.columnGap)
            let y = Self.margin + row * (Self.nodeHeight + Self.rowGap)
            places[step.name] = (x, y)
            nodes.append(
                Node(
                    label: Self.shortened(step.name, to: 17), title: "\(step.name): \(step.badge.word)",
                    href: step.href ?? "#\(PageURL.anchor(step.name))", tone: step.badge.tone, icon: step.badge.icon,
                    detail: Self.shortened(
                        step.detail.isEmpty ? step.badge.word : "\(step.badge.word) · \(step.detail)", to: 20),
                    x: x, y: y, iconX: x + 12, iconY: y + 16, textX: x + 37, nameY: y + 21, detailY: y + 37))
        }
        var edges: [Edge] = []
        for step in steps {
            guard let to = places[step.name] else { continue }
            for name in Set(step.dependsOn).sorted() {
                guard let from = places[name], from.x < to.x else { continue }
                let startX = from.x + Self.nodeWidth, startY = from.y + Self.nodeHeight / 2
                let endY = to.y + Self.nodeHeight / 2, bend = to.x - Self.columnGap / 2
                edges.append(
                    Edge(
                        path: "M\(startX) \(startY)H\(bend - Self.columnGap / 2)C\(bend) \(startY) \(bend) \(endY) \(to.x) \(endY)"
                    ))
            }
        }
        self.nodes = nodes
        self.edges = edges
        width = (nodes.map(\.x).max() ?? 0) + Self.nodeWidth + Self.margin
        height = (nodes.map(\.y).max() ?? 0) + Self.nodeHeight + Self.margin
    }

    /// The column of every step. Bounded by the number of steps, so a circle ends too.
    private static func levels(of steps: [Step]) -> [String: Int] {
        var levels: [String: Int] = [:]
        for step in steps { levels[step.name] = 0 }
        for _ in steps {
            var isSettled = true
            for step in steps {
                let level = step.dependsOn.compactMap { levels[$0] }.max().map { min($0 + 1, steps.count - 1) } ?? 0
                if level > levels[step.name] ?? 0 {
                    levels[step.name] = level
                    isSettled = false
                }
            }
            if isSettled { break }
        }
        return levels
    }

    private static func shortened(_ text: String, to count: Int) -> String {
        text.count <= count ? text : "\(text.prefix(count - 1))…"
    }
}
