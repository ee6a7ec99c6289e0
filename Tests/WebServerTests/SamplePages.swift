import WebServer

/// One of each page, every text of it taken from `text`.
struct SamplePages {
    var text = "hello"

    var time: TimeText { TimeText(text, machine: text) }
    var shell: Shell {
        Shell(
            title: text, crumbs: [Crumb(text, url: PageURL.project(text)), Crumb(text)], user: text, csrf: "c5rf",
            notice: Notice(StateBadge(.success, text), message: text, hint: text), refreshSeconds: 5)
    }
    var badge: StateBadge { StateBadge(state: text) }
    var release: ReleaseLine {
        ReleaseLine(digest: text, commit: text, subject: text, author: text, since: time, run: text)
    }
    var decision: Decision { Decision(who: text, verdict: badge, comment: text, at: time) }
    var pending: PendingApproval {
        PendingApproval(
            deployment: text, release: release, progress: text, rule: text, expires: time, decisions: [decision],
            canDecide: true, refusal: text, digest: text, configuration: text)
    }
    var row: RunRow {
        RunRow(
            id: text, badge: badge, subject: text, pipeline: text, commit: text, ref: text, author: text, event: text,
            when: time, duration: text)
    }

    var projects: ProjectsPage {
        ProjectsPage(
            shell: shell,
            projects: [
                ProjectCard(
                    name: text, repository: text, lastRun: row,
                    stages: [StageChip(stage: text, badge: badge, commit: text)]),
                ProjectCard(name: text, repository: text, lastRun: nil, stages: []),
            ])
    }
    var project: ProjectPage {
        var stage = StageCard(
            stage: text, badge: badge, host: text, hostURL: text, current: release, health: badge, pending: pending,
            rollout: RolloutLine(badge: badge, message: text, release: release),
            promote: PromoteForm(project: text, pipeline: text, stage: text, releaseID: text, release: release),
            rollback: RollbackForm(project: text, pipeline: text, stage: text, releaseID: text, release: release))
        stage.why = text
        stage.scale = text
        stage.planURL = PageURL.plan(for: text, of: text, pipeline: text)
        var page = ProjectPage(
            shell: shell, name: text, repository: text, hookURL: text,
            pipelines: [PipelineRow(pipeline: text, train: text, stages: [stage, StageCard(stage: text, badge: badge)])], runs: [row],
            warnings: [ProjectWarning(text, detail: text, linkLabel: text, url: PageURL.outbox(of: text))])
        page.jobs = [job]
        return page
    }
    private var job: JobRow {
        JobRow(id: text, badge: badge, name: text, kind: text, stage: text, who: text, when: time, duration: text, problem: text)
    }
    var jobPage: JobPage {
        JobPage(
            shell: shell, job: job, facts: [.init(text, text)], problem: text, lines: [text, "\u{1B}[31mred"], isCut: true, mayCancel: true)
    }
    var outbox: OutboxPage {
        OutboxPage(
            shell: shell,
            messages: [
                MessageRow(
                    id: text, isDead: true, event: text, project: text, run: text, target: text, problem: text, attempts: 3,
                    when: time)
            ])
    }
    var board: BoardPage {
        let place = BoardCell.Place(
            badge: badge, current: release, share: text, why: text, planURL: PageURL.plan(for: text, of: text, pipeline: text))
        return BoardPage(
            shell: shell, stages: [text, text],
            rows: [
                BoardRow(
                    project: text, pipeline: text, train: text,
                    cells: [BoardCell(stage: text, place: place), BoardCell(stage: text, place: nil)])
            ])
    }
    var ledger: LedgerPage {
        LedgerPage(
            shell: shell, head: text,
            entries: [
                LedgerRow(number: 1, badge: badge, who: text, project: text, stage: text, digest: text, commit: text, remark: text, at: time),
                LedgerRow(number: 2, badge: badge, who: text, project: text, stage: nil, digest: text, commit: text, remark: nil, at: time),
            ])
    }
    var plan: PlanPage {
        let version = PlanVersion(digest: text, commit: text, subject: text)
        return PlanPage(
            shell: shell, stage: text, live: version, next: version, approval: text, freeze: text, overrideURL: "/o", pipeline: text,
            commits: [PlanCommit(id: text, author: text, subject: text)], commitsNote: text,
            changes: [PlanChange(badge: badge, name: text, from: text, to: text), PlanChange(badge: badge, name: text, from: nil, to: text)])
    }
    var runs: RunsPage { RunsPage(shell: shell, project: text, runs: [row], newerURL: "/n", olderURL: "/o") }
    func log(isLive: Bool) -> LogPanel {
        LogPanel(
            run: text, step: text, lines: [.init(offset: 80, time: text, isError: true, text: text)], isLive: isLive,
            note: text)
    }
    var run: RunPage {
        RunPage(
            shell: shell, id: text, badge: badge, subject: text, project: text, pipeline: text, commit: text, ref: text,
            author: text, event: text, when: time, duration: text, problem: Problem(message: text, hint: text),
            diagnostics: [
                DiagnosticBlock(file: text, line: 3, column: 4, message: text, source: text, suggestion: text)
            ],
            graph: StepGraph(steps: [
                .init(name: text, badge: badge, detail: text, dependsOn: []),
                .init(name: "other", badge: badge, detail: text, dependsOn: [text]),
            ]),
            steps: [
                StepPanel(
                    name: text, badge: badge, image: text, duration: text, outcome: text, isOpen: true,
                    log: log(isLive: true))
            ],
            image: ImagePanel(
                reference: text, digest: text, size: text, base: text,
                layers: [.init(digest: text, size: text, origin: text)]),
            release: ReleasePanel(releaseID: text, facts: [.init(text, text)]),
            deployments: [
                DeploymentPanel(
                    id: text, stage: text, badge: badge, by: text, when: time, host: text, hostURL: text,
                    pending: pending, decisions: [decision],
                    events: [.init(at: time, badge: badge, message: text, who: text)],
                    failure: InstanceFailure(instance: text, message: text, lastLines: [text]))
            ],
            cancelURL: "/c", rerun: RerunForms(run: text, key: text, offersFailed: true))
    }
    var stepLog: StepLogPage { StepLogPage(shell: shell, run: text, step: text, badge: badge, log: log(isLive: false)) }
    var login: LoginPage { LoginPage(shell: shell, problem: text, next: text, tokenFile: text) }
    var error: ErrorPage { ErrorPage(shell: shell, status: 404, heading: text, message: text, hint: text) }

    func all(_ renderer: PageRenderer) -> [String: String] {
        [
            "projects": renderer.render(projects), "project": renderer.render(project), "runs": renderer.render(runs),
            "run": renderer.render(run), "log": renderer.render(stepLog), "login": renderer.render(login),
            "error": renderer.render(error), "outbox": renderer.render(outbox), "job": renderer.render(jobPage),
            "ledger": renderer.render(ledger), "board": renderer.render(board), "plan": renderer.render(plan),
        ]
    }
}
