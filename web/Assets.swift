// Written by embed.sh from the files of this folder; change those, not this.

/// The pages' templates and the files they link to, in the binary itself.
public enum WebAssets {
    /// Mustache templates by name, without `.mustache`.
    public static let templates: [String: String] = [
        "badge": ###"""
<span class="badge {{tone}}">{{>*icon}}<span>{{word}}</span></span>

"""###,
        "board": ###"""
{{>top}}
<div class="head"><div><h1>Board</h1><p class="sub">What is live in every stage, and what keeps anything newer from it.</p></div><a href="/ledger">Ledger</a></div>
<section id="board" data-live>
{{^rows}}
<div class="empty"><h2>No stages yet</h2><p>A service appears here when a run has made its first release.</p></div>
{{/rows}}
<div class="scroll">
<table class="board">
<thead><tr><th scope="col">Service</th>{{#stages}}<th scope="col"><bdi>{{.}}</bdi></th>{{/stages}}</tr></thead>
<tbody>
{{#rows}}
<tr>
<th scope="row"><a class="title" href="{{url}}"><bdi>{{pipeline}}</bdi></a><div class="sub"><bdi>{{project}}</bdi>{{#.train}} · train <bdi>{{.}}</bdi>{{/.train}}</div></th>
{{#cells}}
{{#.place}}
<td class="{{badge.tone}}"><div class="ask"><span class="kicker at"><bdi>{{stage}}</bdi></span>{{#badge}}{{>badge}}{{/badge}}{{#.share}}<span class="num">{{.}}</span>{{/.share}}</div>
{{#.current}}<div class="release"><a class="title" href="{{runURL}}"><bdi>{{subject}}</bdi></a><div class="sub"><code>{{commit}}</code> · {{#since}}{{>time}}{{/since}}</div></div>{{/.current}}
{{#.why}}<p class="sub why"><bdi>{{.}}</bdi></p>{{/.why}}
{{#.planURL}}<p class="sub"><a href="{{.}}">What would change</a></p>{{/.planURL}}
</td>
{{/.place}}
{{^.place}}<td class="no"><span class="sr">no stage {{stage}}</span></td>{{/.place}}
{{/cells}}
</tr>
{{/rows}}
</tbody>
</table>
</div>
</section>
{{>bottom}}

"""###,
        "bottom": ###"""
</main>
<footer class="foot">Slipway: the same digest, from commit to production</footer>
<div id="said" class="sr" role="status" aria-live="polite"></div>
</body>
</html>

"""###,
        "csrf": ###"""
<input type="hidden" name="csrf" value="{{shell.csrf}}">

"""###,
        "decisions": ###"""
<ul class="decisions">
{{#decisions}}
<li>{{#verdict}}{{>badge}}{{/verdict}}<span><bdi>{{who}}</bdi> <span class="muted">{{#at}}{{>time}}{{/at}}</span>{{#.comment}}<q><bdi>{{.}}</bdi></q>{{/.comment}}</span></li>
{{/decisions}}
</ul>

"""###,
        "deployment": ###"""
<section class="panel deployment" id="{{anchor}}"><header><h2><bdi>{{stage}}</bdi></h2>{{#badge}}{{>badge}}{{/badge}}</header>
<p class="sub"><bdi>{{by}}</bdi> · {{#when}}{{>time}}{{/when}}{{#.hostURL}} · <a href="{{.}}" rel="noreferrer"><bdi>{{host}}</bdi></a>{{/.hostURL}}</p>
{{#.pending}}
{{>pending}}
{{/.pending}}
{{#.waves}}
{{>rollout}}
{{/.waves}}
{{#hasJobs}}
{{>jobrows}}
{{/hasJobs}}
{{>decisions}}
{{>events}}
{{#.failure}}
<div class="problem"><p><strong>{{message}}</strong></p><p class="sub">Last lines of <code><bdi>{{instance}}</bdi></code></p><ol class="log short" tabindex="0" aria-label="Last log lines">{{{markup}}}</ol></div>
{{/.failure}}
</section>

"""###,
        "digest": ###"""
<span class="digest"><code title="{{full}}">{{short}}</code><button class="copy" type="button" hidden data-copy="{{full}}" aria-label="Copy {{full}}">{{>icon-copy}}</button></span>

"""###,
        "error": ###"""
{{>top}}
<section class="card"><p class="status">{{status}}</p><h1>{{heading}}</h1><p>{{message}}</p>{{#.hint}}<p class="sub">{{.}}</p>{{/.hint}}<p><a href="/">All projects</a></p></section>
{{>bottom}}

"""###,
        "events": ###"""
<ol class="events">
{{#events}}
<li class="{{badge.tone}}">{{#badge}}{{>*icon}}{{/badge}}<div><span class="word">{{badge.word}}</span> <span class="muted">{{#at}}{{>time}}{{/at}}{{#.who}} · <bdi>{{.}}</bdi>{{/.who}}</span><div class="sub"><bdi>{{message}}</bdi></div></div></li>
{{/events}}
</ol>

"""###,
        "icon-active": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><circle class="track" cx="8" cy="8" r="6"/><path class="spin" d="M8 2a6 6 0 0 1 6 6"/></svg>

"""###,
        "icon-arrow": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><path class="line" d="M2 8h11M9.4 4.4L13 8l-3.6 3.6"/></svg>

"""###,
        "icon-commit": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><circle class="line" cx="8" cy="8" r="2.8"/><path class="line" d="M.8 8h4.4M10.8 8h4.4"/></svg>

"""###,
        "icon-copy": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><rect class="line" x="5.6" y="5.6" width="7.6" height="7.6" rx="1.6"/><path class="line" d="M10.4 3.2H4.4a1.6 1.6 0 0 0-1.6 1.6v5.6"/></svg>

"""###,
        "icon-failure": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><circle cx="8" cy="8" r="7" class="fill"/><path class="cut" d="M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2"/></svg>

"""###,
        "icon-neutral": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><circle class="line" cx="8" cy="8" r="6.2"/><path class="line" d="M5.2 8h5.6"/></svg>

"""###,
        "icon-passed": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><circle class="dot" cx="8" cy="8" r="3.2"/></svg>

"""###,
        "icon-success": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><circle cx="8" cy="8" r="7" class="fill"/><path class="cut" d="M4.8 8.3l2.2 2.2 4.3-4.7"/></svg>

"""###,
        "icon-waiting": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><circle class="line" cx="8" cy="8" r="6.2"/><path class="line" d="M8 4.6V8l2.3 1.6"/></svg>

"""###,
        "icon-warning": ###"""
<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><path class="fill" d="M8 .9a1.3 1.3 0 0 1 1.1.7l6.2 11.3a1.3 1.3 0 0 1-1.1 1.9H1.8a1.3 1.3 0 0 1-1.1-1.9L6.9 1.6A1.3 1.3 0 0 1 8 .9z"/><path class="cut" d="M8 5.6v3.6M8 11.8v.2"/></svg>

"""###,
        "job": ###"""
{{>top}}
{{#job}}
<div class="head" id="job-head" data-live><div><h1><bdi>{{name}}</bdi></h1><p class="sub"><bdi>{{stage}}</bdi> · {{kind}} · <bdi>{{who}}</bdi> · {{#when}}{{>time}}{{/when}} · <span class="num">{{duration}}</span></p></div>{{#badge}}{{>badge}}{{/badge}}</div>
{{/job}}
<section class="panel" id="job" data-live>
{{#.problem}}<div class="problem"><p><strong><bdi>{{.}}</bdi></strong></p></div>{{/.problem}}
<dl class="facts">{{#facts}}<div><dt>{{label}}</dt><dd><bdi>{{value}}</bdi></dd></div>{{/facts}}</dl>
{{#.isCut}}<p class="sub">The last lines; all of them: <code>slipway jobs logs</code></p>{{/.isCut}}
{{#hasWritten}}<ol class="log" tabindex="0" aria-label="Log">{{{markup}}}</ol>{{/hasWritten}}
{{^hasWritten}}<p class="muted none">It has written nothing.</p>{{/hasWritten}}
{{#.cancelURL}}<form method="post" action="{{.}}">{{>csrf}}<button class="danger">End the job</button></form>{{/.cancelURL}}
</section>
{{>bottom}}

"""###,
        "jobrows": ###"""
<div class="rows" role="list">
{{#jobs}}
<div class="row run" role="listitem">
<div class="c-state">{{#badge}}{{>badge}}{{/badge}}</div>
<div class="c-what"><a class="title" href="{{url}}"><bdi>{{name}}</bdi></a><div class="sub"><bdi>{{stage}}</bdi> · {{kind}} · <bdi>{{who}}</bdi></div>{{#.problem}}<div class="sub"><bdi>{{.}}</bdi></div>{{/.problem}}</div>
<div class="c-where"><span class="num">{{duration}}</span></div>
<div class="c-when">{{#when}}{{>time}}{{/when}}</div>
</div>
{{/jobs}}
</div>

"""###,
        "ledger": ###"""
{{>top}}
<div class="head"><div><h1>Ledger</h1>{{#.head}}<p class="sub">Last hash {{>digest}}</p>{{/.head}}</div></div>
<section id="ledger">
<div class="rows" role="list">
{{#entries}}
<div class="row run" role="listitem">
<div class="c-state">{{#badge}}{{>badge}}{{/badge}}</div>
<div class="c-what"><a class="title" href="{{projectURL}}"><bdi>{{project}}</bdi>{{#.stage}} · <bdi>{{.}}</bdi>{{/.stage}}</a><div class="sub"><bdi>{{who}}</bdi>{{#.remark}} · <bdi>{{.}}</bdi>{{/.remark}}</div></div>
<div class="c-where">{{#digest}}{{>digest}}{{/digest}}<div class="sub"><code>{{commit}}</code></div></div>
<div class="c-when"><span class="num">{{number}}</span><div class="sub">{{#at}}{{>time}}{{/at}}</div></div>
</div>
{{/entries}}
</div>
{{^entries}}<p class="muted none">Nothing has been delivered yet.</p>{{/entries}}
</section>
{{>bottom}}

"""###,
        "log-panel": ###"""
{{#.note}}<p class="sub note">{{.}} <a href="{{pageURL}}">Whole log</a></p>{{/.note}}
<ol class="log"{{#.eventsURL}} data-events="{{.}}"{{/.eventsURL}} data-offset="{{offset}}" tabindex="0" aria-label="Log">{{{markup}}}</ol>
{{#isEmpty}}<p class="sub nolog">{{#.eventsURL}}No output yet.{{/.eventsURL}}{{^.eventsURL}}{{#.absence}}{{.}}{{/.absence}}{{^.absence}}No output.{{/.absence}}{{/.eventsURL}}</p>{{/isEmpty}}

"""###,
        "log": ###"""
{{>top}}
<div class="head" id="head" data-live><div><p class="state">{{#badge}}{{>badge}}{{/badge}}</p><h1><bdi>{{name}}</bdi></h1><p class="sub"><a href="{{runURL}}">Back to the run</a></p></div></div>
<section class="panel whole">
{{#log}}
{{>log-panel}}
{{/log}}
</section>
{{>bottom}}

"""###,
        "login": ###"""
{{>top}}
<section class="card">
{{>logo}}
<h1>Sign in</h1>
{{#.problem}}<p class="problem" role="alert">{{.}}</p>{{/.problem}}
<form method="post" action="/login">{{>csrf}}<input type="hidden" name="next" value="{{next}}">
<label for="token">Token</label>
<input id="token" name="token" type="password" required autofocus autocomplete="current-password" spellcheck="false">
<button class="primary">Sign in</button></form>
<p class="sub">The administrator's token is on the server, in <code>{{tokenFile}}</code>. More tokens: <code>slipway token create</code>.</p>
</section>
{{>bottom}}

"""###,
        "logo": ###"""
<svg class="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" focusable="false"><path class="logo-hull" d="M3.6 10.2l22.2 5.6-2.1 4.3a3.2 3.2 0 0 1-3.7 1.7L8.6 18.9a3.6 3.6 0 0 1-2.4-2z"/><path class="logo-mast" d="M11.4 9.7l1.4-5.4 9 7.9z"/><path class="logo-way" d="M2.6 21.3l26.8 6.8"/></svg>

"""###,
        "outbox": ###"""
{{>top}}
<div class="head"><h1>Outbox</h1></div>
<section id="outbox" data-live>
<div class="rows" role="list">
{{#messages}}
<div class="row run" role="listitem">
<div class="c-state">{{#badge}}{{>badge}}{{/badge}}</div>
<div class="c-what"><a class="title" href="{{runURL}}"><bdi>{{project}}</bdi> · {{event}}</a><div class="sub"><bdi>{{target}}</bdi></div>{{#.problem}}<div class="sub"><bdi>{{.}}</bdi></div>{{/.problem}}</div>
<div class="c-where"><span class="num">{{attempts}}</span><div class="sub">{{#when}}{{>time}}{{/when}}</div></div>
<div class="c-when">
{{#.retryURL}}<form method="post" action="{{.}}">{{>csrf}}<button class="primary">Send again</button></form>{{/.retryURL}}
<form method="post" action="{{discardURL}}">{{>csrf}}<button class="quiet">Discard</button></form>
</div>
</div>
{{/messages}}
</div>
{{^messages}}<p class="muted none">Everything has arrived.</p>{{/messages}}
</section>
{{>bottom}}

"""###,
        "pending": ###"""
<div class="pending">
<p class="ask"><strong>Waiting for approval</strong> <span class="count">{{progress}}</span></p>
<p class="sub">{{rule}}{{#.expires}} · expires {{>time}}{{/.expires}}</p>
{{#release}}
{{>release}}
{{/release}}
{{>decisions}}
{{#canDecide}}
<form method="post" action="{{approveURL}}" class="decide">{{>csrf}}<input type="hidden" name="digest" value="{{digest}}"><input type="hidden" name="configuration" value="{{configuration}}">
<label class="sr" for="comment-{{approveURL}}">Comment</label><input id="comment-{{approveURL}}" name="comment" maxlength="500" placeholder="Comment (optional)" autocomplete="off">
<div class="buttons"><button class="primary">Approve</button><button class="danger" formaction="{{rejectURL}}">Reject</button></div></form>
{{/canDecide}}
{{#.refusal}}<p class="sub refusal">{{.}}</p>{{/.refusal}}
</div>

"""###,
        "plan": ###"""
{{>top}}
<div class="head"><div><h1>What would change in <bdi>{{stage}}</bdi></h1>
<p class="sub">{{#.live}}Live: {{#digest}}{{>digest}}{{/digest}} <code>{{commit}}</code> <bdi>{{subject}}</bdi>{{/.live}}{{^.live}}Nothing is live there yet.{{/.live}}</p>
<p class="sub">{{#next}}Next: {{#digest}}{{>digest}}{{/digest}} <code>{{commit}}</code> <bdi>{{subject}}</bdi>{{/next}}</p></div></div>
<section class="panel" id="conditions"><header><h2>Before it begins</h2></header>
{{#.approval}}<p><bdi>{{.}}</bdi></p>{{/.approval}}{{^.approval}}<p class="muted">Nobody has to agree.</p>{{/.approval}}
{{#.freeze}}<p><bdi>{{.}}</bdi></p>{{/.freeze}}{{^.freeze}}<p class="muted">No freeze.</p>{{/.freeze}}
{{#.overrideURL}}
<details class="confirm"><summary>Deploy in spite of the freeze</summary>
<form method="post" action="{{.}}">{{>csrf}}<input type="hidden" name="pipeline" value="{{pipeline}}"><label for="reason">Why it cannot wait</label>
<input id="reason" name="reason" required maxlength="500" autocomplete="off"><p class="sub">Your name and the reason are kept in the ledger.</p>
<button class="danger">Override the freeze</button></form></details>
{{/.overrideURL}}
</section>
<section class="panel" id="commits"><header><h2>Commits</h2></header>
<ul class="plan">
{{#commits}}
<li><code>{{id}}</code> <bdi>{{subject}}</bdi> <span class="muted"><bdi>{{author}}</bdi></span></li>
{{/commits}}
</ul>
{{#.commitsNote}}<p class="muted">{{.}}</p>{{/.commitsNote}}
</section>
<section class="panel" id="changes"><header><h2>Configuration</h2></header>
<ul class="plan">
{{#changes}}
<li>{{#badge}}{{>badge}}{{/badge}} <code><bdi>{{name}}</bdi></code>{{#.from}} <span class="muted"><bdi>{{.}}</bdi></span>{{/.from}}{{#.to}} → <bdi>{{.}}</bdi>{{/.to}}</li>
{{/changes}}
</ul>
{{^changes}}<p class="muted">Nothing but the image.</p>{{/changes}}
</section>
{{>bottom}}

"""###,
        "project": ###"""
{{>top}}
<div class="head"><div><h1><bdi>{{name}}</bdi></h1><p class="sub"><bdi>{{repository}}</bdi></p></div></div>
<section id="warnings" data-live>
{{#warnings}}
<div class="notice {{badge.tone}}">{{#badge}}{{>badge}}{{/badge}}<p><bdi>{{detail}}</bdi>{{#.url}} <a href="{{.}}">{{linkLabel}}</a>{{/.url}}</p></div>
{{/warnings}}
</section>
<section id="stages" data-live aria-label="What is where">
{{#pipelines}}
<h2 class="kicker"><bdi>{{pipeline}}</bdi>{{#.train}} · train <bdi>{{.}}</bdi>{{/.train}}</h2>
<ol class="lane">
{{#stages}}
<li class="stage {{badge.tone}}">
<header><h3><bdi>{{stage}}</bdi></h3>{{#badge}}{{>badge}}{{/badge}}</header>
{{#.hostURL}}<p class="sub host"><a href="{{.}}" rel="noreferrer"><bdi>{{host}}</bdi></a></p>{{/.hostURL}}{{^.hostURL}}{{#.host}}<p class="sub host"><bdi>{{.}}</bdi></p>{{/.host}}{{/.hostURL}}
{{#.current}}
{{>release}}
{{/.current}}
{{^.current}}<p class="muted none">Nothing has been deployed here yet.</p>{{/.current}}
{{#.scale}}<p class="sub">{{.}}</p>{{/.scale}}
{{#.health}}<p class="health">{{>badge}}</p>{{/.health}}
{{#.rollout}}
<div class="rollout"><p class="ask">{{#badge}}{{>badge}}{{/badge}} <span class="sub">{{message}}</span></p>
{{#release}}
{{>release}}
{{/release}}
{{#.waves}}
{{>rollout}}
{{/.waves}}
</div>
{{/.rollout}}
{{#.pending}}
{{>pending}}
{{/.pending}}
{{#.why}}<p class="sub why"><bdi>{{.}}</bdi></p>{{/.why}}
{{#.planURL}}<p class="sub"><a href="{{.}}">What would change</a></p>{{/.planURL}}
<div class="acts">
{{#.promote}}
<form method="post" action="{{promoteURL}}">{{>csrf}}<input type="hidden" name="pipeline" value="{{pipeline}}"><input type="hidden" name="release" value="{{releaseID}}"><button class="primary">{{action}}</button> <span class="sub">{{#release}}<code>{{commit}}</code> <bdi>{{subject}}</bdi>{{/release}}</span></form>
{{/.promote}}
{{#.rollback}}
<details class="confirm"><summary>Roll back</summary>
<form method="post" action="{{rollbackURL}}">{{>csrf}}<input type="hidden" name="pipeline" value="{{pipeline}}"><input type="hidden" name="release" value="{{releaseID}}"><p class="sub">Back to:</p>
{{#release}}
{{>release}}
{{/release}}
<button class="danger">Roll back now</button></form></details>
{{/.rollback}}
</div>
</li>
{{/stages}}
</ol>
{{/pipelines}}
{{^pipelines}}
<div class="empty"><h2>No pipeline with stages yet</h2><p>Push a commit with <code>pipelines/deliver.yaml</code>; its stages appear here.</p></div>
{{/pipelines}}
</section>
<section id="jobs" data-live>
{{#hasJobs}}
<div class="head sub-head"><h2>Latest jobs</h2></div>
{{>jobrows}}
{{/hasJobs}}
</section>
<section id="runs" data-live>
<div class="head sub-head"><h2>Latest runs</h2><span><a href="{{ledgerURL}}">Ledger</a> · <a href="{{runsURL}}">All runs</a></span></div>
{{>runrows}}
{{^runs}}<p class="muted none">No run yet. Push a commit, or <code>slipway trigger</code>.</p>{{/runs}}
</section>
{{#.hookURL}}
<section class="hook"><h2 class="kicker">Webhook</h2><p class="sub"><span class="digest"><code>{{.}}</code><button class="copy" type="button" hidden data-copy="{{.}}" aria-label="Copy the address">{{>icon-copy}}</button></span></p></section>
{{/.hookURL}}
{{>bottom}}

"""###,
        "projects": ###"""
{{>top}}
<div class="head"><h1>Projects</h1><span><a href="/board">Board</a> · <a href="/ledger">Ledger</a></span></div>
{{^projects}}
<section class="empty">{{>logo}}<h2>Nothing on the slipway yet</h2><p>Register a git repository; its pipelines are in <code>pipelines/*.yaml</code>.</p><pre class="cmd"><code>slipway project add shop https://git.example/shop.git</code></pre></section>
{{/projects}}
<div class="rows" role="list" id="projects" data-live>
{{#projects}}
<article class="row project" role="listitem">
<div class="c-what"><h2><a class="title" href="{{url}}"><bdi>{{name}}</bdi></a></h2><div class="sub"><bdi>{{repository}}</bdi></div></div>
<ul class="chips" aria-label="Stages">
{{#stages}}
<li class="chip {{badge.tone}}">{{#badge}}{{>*icon}}{{/badge}}<span class="name"><bdi>{{stage}}</bdi></span>{{#.commit}}<code>{{.}}</code>{{/.commit}}<span class="word">{{badge.word}}</span></li>
{{/stages}}
</ul>
<div class="c-last">
{{#.lastRun}}
<a class="last" href="{{url}}">{{#badge}}{{>badge}}{{/badge}}<span class="sub"><bdi>{{subject}}</bdi></span></a><div class="sub">{{#when}}{{>time}}{{/when}}</div>
{{/.lastRun}}
{{^.lastRun}}<span class="muted">No run yet</span>{{/.lastRun}}
</div>
</article>
{{/projects}}
</div>
{{>bottom}}

"""###,
        "release": ###"""
<div class="release"><a class="title" href="{{runURL}}"><bdi>{{subject}}</bdi></a>
<div class="sub"><code>{{commit}}</code> <bdi>{{author}}</bdi> · {{#since}}{{>time}}{{/since}}</div>
<div class="sub">{{#digest}}{{>digest}}{{/digest}}</div></div>

"""###,
        "rollout": ###"""
<div class="waves">
<svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect class="all" width="100" height="4"/><rect class="fill" width="{{share}}" height="4"/></svg>
<p class="sub"><strong class="num">{{shareText}}</strong> of the requests get the new version{{#.detail}}<span> · {{.}}</span>{{/.detail}}</p>
<ol>{{#waves}}<li class="{{place}}">{{label}}</li>{{/waves}}</ol>
{{#.verdict}}<p class="sub">{{.}}</p>{{/.verdict}}
{{#hasCharts}}
<div class="charts">
{{#charts}}
<figure><figcaption>{{title}} <span class="num new">{{newValue}}</span> <span class="num old">{{oldValue}}</span></figcaption>
<svg viewBox="0 0 {{width}} {{height}}" preserveAspectRatio="none" role="img" aria-label="{{title}}: new {{newValue}}, before {{oldValue}}"><path class="old" d="{{old}}"/><path class="new" d="{{new}}"/></svg></figure>
{{/charts}}
<p class="sub legend"><span class="new">new version</span> <span class="old">version before</span></p>
</div>
{{/hasCharts}}
<div class="buttons">
{{#.resumeURL}}<form method="post" action="{{.}}">{{>csrf}}<button class="primary">Go on</button></form>{{/.resumeURL}}
{{#.abortURL}}<form method="post" action="{{.}}">{{>csrf}}<button class="danger">Go back</button></form>{{/.abortURL}}
</div>
</div>

"""###,
        "run": ###"""
{{>top}}
<div id="head" data-live>
<div class="head">
<div><p class="state">{{#badge}}{{>badge}}{{/badge}}<span class="sub num">{{duration}}</span></p><h1><bdi>{{subject}}</bdi></h1></div>
<div class="buttons">
{{#.cancelURL}}<form method="post" action="{{.}}">{{>csrf}}<button class="danger">Cancel</button></form>{{/.cancelURL}}
{{#.rerun}}
<form method="post" action="{{url}}">{{>csrf}}<input type="hidden" name="key" value="{{key}}"><button>Run again</button></form>
{{#offersFailed}}<form method="post" action="{{url}}">{{>csrf}}<input type="hidden" name="key" value="{{key}}-failed"><input type="hidden" name="failed" value="1"><button>Run what failed again</button></form>{{/offersFailed}}
{{/.rerun}}
</div>
</div>
<dl class="meta">
<div><dt>Project</dt><dd><a href="{{projectURL}}"><bdi>{{project}}</bdi></a></dd></div>
<div><dt>Pipeline</dt><dd><bdi>{{pipeline}}</bdi></dd></div>
<div><dt>Commit</dt><dd>{{#commit}}{{>digest}}{{/commit}}</dd></div>
<div><dt>Ref</dt><dd><bdi>{{ref}}</bdi></dd></div>
<div><dt>Author</dt><dd><bdi>{{author}}</bdi></dd></div>
<div><dt>Trigger</dt><dd>{{event}}</dd></div>
<div><dt>Started</dt><dd>{{#when}}{{>time}}{{/when}}</dd></div>
<div><dt>Run</dt><dd><code>{{id}}</code></dd></div>
{{#related}}
<div><dt>{{relation}}</dt><dd><a href="{{url}}">run {{id}}</a></dd></div>
{{/related}}
</dl>
{{#.problem}}
<div class="problem"><p><strong>{{message}}</strong></p>{{#.hint}}<p>{{.}}</p>{{/.hint}}</div>
{{/.problem}}
{{#diagnostics}}
<figure class="diagnostic"><figcaption><code class="at">{{file}}:{{line}}:{{column}}</code> <strong>{{message}}</strong></figcaption>
<pre><code><span class="ln">{{line}}</span>{{source}}
<span class="ln"></span><span class="caret">{{caret}}</span></code></pre>
{{#.suggestion}}<p class="fix">{{.}}</p>{{/.suggestion}}
</figure>
{{/diagnostics}}
{{>events}}
{{#.graph}}
<div class="graph" tabindex="0" role="group" aria-label="Steps and what they wait for"><svg width="{{width}}" height="{{height}}" viewBox="0 0 {{width}} {{height}}">
{{#edges}}<path class="edge" d="{{path}}"/>{{/edges}}
{{#nodes}}
<a href="{{href}}" class="node {{tone}}"><title>{{title}}</title><rect x="{{x}}" y="{{y}}" width="{{nodeW}}" height="{{nodeH}}" rx="9"/><svg x="{{iconX}}" y="{{iconY}}" width="16" height="16">{{>*icon}}</svg><text class="n" x="{{textX}}" y="{{nameY}}">{{label}}</text><text class="d" x="{{textX}}" y="{{detailY}}">{{detail}}</text></a>
{{/nodes}}
</svg></div>
{{/.graph}}
</div>
<div class="cols">
<section id="steps" aria-label="Steps">
{{#steps}}
<details class="panel step" id="{{anchor}}"{{#isOpen}} open{{/isOpen}}>
<summary id="{{anchor}}-head" data-live>{{#badge}}{{>badge}}{{/badge}}<span class="name"><bdi>{{name}}</bdi></span><span class="sub image"><bdi>{{image}}</bdi></span><span class="num">{{#.outcome}}<span class="outcome">{{.}}</span> {{/.outcome}}{{duration}}</span></summary>
{{#log}}
{{>log-panel}}
{{/log}}
</details>
{{/steps}}
</section>
<div id="delivery" class="side" data-live>
{{#deployments}}
{{>deployment}}
{{/deployments}}
{{#.image}}
<section class="panel"><header><h2>Image</h2><span class="num sub">{{size}}</span></header>
<p class="ref"><code><bdi>{{reference}}</bdi></code></p>
<p>{{#digest}}{{>digest}}{{/digest}}</p>
<p class="sub">{{#.base}}on <code><bdi>{{.}}</bdi></code>{{/.base}}{{^.base}}from scratch{{/.base}}</p>
<table class="layers"><caption class="sr">Layers</caption><thead><tr><th scope="col">Layer</th><th scope="col">Origin</th><th scope="col" class="num">Size</th></tr></thead><tbody>
{{#layers}}
<tr><td>{{#digest}}{{>digest}}{{/digest}}</td><td class="sub">{{origin}}</td><td class="num">{{size}}</td></tr>
{{/layers}}
</tbody></table></section>
{{/.image}}
{{#.release}}
<section class="panel"><header><h2>Release</h2><code class="sub">{{releaseID}}</code></header>
<dl class="facts">
{{#facts}}
<div><dt>{{label}}</dt><dd><bdi>{{value}}</bdi></dd></div>
{{/facts}}
</dl></section>
{{/.release}}
</div>
</div>
{{>bottom}}

"""###,
        "runrows": ###"""
<div class="rows" role="list">
{{#runs}}
<div class="row run" role="listitem">
<div class="c-state">{{#badge}}{{>badge}}{{/badge}}</div>
<div class="c-what"><a class="title" href="{{url}}"><bdi>{{subject}}</bdi></a><div class="sub"><code>{{commit}}</code> <span><bdi>{{author}}</bdi></span></div></div>
<div class="c-where"><span class="pipe"><bdi>{{pipeline}}</bdi></span><div class="sub"><bdi>{{ref}}</bdi> · {{event}}</div></div>
<div class="c-when"><span class="num">{{duration}}</span><div class="sub">{{#when}}{{>time}}{{/when}}</div></div>
</div>
{{/runs}}
</div>

"""###,
        "runs": ###"""
{{>top}}
<div class="head"><div><h1>Runs</h1><p class="sub">of <a href="{{projectURL}}"><bdi>{{project}}</bdi></a></p></div></div>
<section id="runs" data-live>
{{>runrows}}
{{^runs}}<div class="empty"><h2>No run yet</h2><p>Push a commit, or <code>slipway trigger</code>.</p></div>{{/runs}}
</section>
<nav class="pager" aria-label="Pages">{{#.newerURL}}<a href="{{.}}" rel="prev">Newer</a>{{/.newerURL}}{{#.olderURL}}<a href="{{.}}" rel="next">Older</a>{{/.olderURL}}</nav>
{{>bottom}}

"""###,
        "time": ###"""
<time datetime="{{machine}}" title="{{machine}}">{{text}}</time>

"""###,
        "top": ###"""
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{shell.title}} · Slipway</title>
<link rel="icon" href="/assets/favicon.svg?v=@version@" type="image/svg+xml">
<link rel="stylesheet" href="/assets/app.css?v=@version@">
<script src="/assets/app.js?v=@version@" defer></script>
</head>
<body{{#shell.refreshSeconds}} data-refresh="{{.}}"{{/shell.refreshSeconds}}>
<a class="skip" href="#main">Skip to content</a>
<header class="bar">
<a class="brand" href="/">{{>logo}}<span>Slipway</span></a>
<nav class="crumbs" aria-label="Where you are"><ol>
{{#shell.crumbs}}
<li>{{#.url}}<a href="{{.}}">{{label}}</a>{{/.url}}{{^.url}}<span aria-current="page">{{label}}</span>{{/.url}}</li>
{{/shell.crumbs}}
</ol></nav>
{{#shell.user}}
<form class="who" method="post" action="/logout">{{>csrf}}<span class="muted">{{.}}</span><button class="quiet">Sign out</button></form>
{{/shell.user}}
</header>
<main id="main" tabindex="-1">
{{#shell.notice}}
<div class="notice {{badge.tone}}" role="status">{{#badge}}{{>badge}}{{/badge}}<p>{{message}}{{#.hint}} <span class="muted">{{.}}</span>{{/.hint}}</p></div>
{{/shell.notice}}

"""###,
    ]

    /// What is served under `/assets/`, by name.
    public static let files: [String: (contentType: String, bytes: [UInt8])] = [
        "app.css": ("text/css; charset=utf-8", Array(###"""
/* Slipway. One sheet, two themes, no other files. Tones: success active waiting failure warning neutral. */
:root {
  color-scheme: light dark;
  --bg: #f4f6f8; --surface: #ffffff; --sunken: #eef1f4; --line: #d9dfe5; --line-strong: #b9c3cd;
  --ink: #16202a; --muted: #54616e; --accent: #0b5d78; --accent-ink: #ffffff; --accent-soft: #e3f1f5;
  --success: #14703f; --success-soft: #e4f4ea; --active: #0a5ca8; --active-soft: #e4effb;
  --waiting: #7d5200; --waiting-soft: #fbf1da; --failure: #b3211b; --failure-soft: #fdeae8;
  --warning: #97400a; --warning-soft: #fdeee3; --neutral: #54616e; --neutral-soft: #e9edf1;
  --log: #10161c; --log-ink: #d7dee6; --log-muted: #8593a1; --shadow: 0 1px 2px rgb(22 32 42 / 6%);
  --sans: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0e1318; --surface: #151b22; --sunken: #1b232b; --line: #28323c; --line-strong: #44515e;
    --ink: #e5ebf0; --muted: #9aa8b5; --accent: #6fc6df; --accent-ink: #06222c; --accent-soft: #14303a;
    --success: #63d39a; --success-soft: #12301f; --active: #7fc0ff; --active-soft: #10294a;
    --waiting: #f0c060; --waiting-soft: #2b2411; --failure: #ff9389; --failure-soft: #3a1512;
    --warning: #ffab73; --warning-soft: #38200e; --neutral: #9aa8b5; --neutral-soft: #222b34;
    --log: #0a0e12; --shadow: none;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { font: 15px/1.45 var(--sans); background: var(--bg); color: var(--ink); -webkit-text-size-adjust: 100%; }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; }
h1, h2, h3, p, ol, ul, dl, dd, figure { margin: 0; padding: 0; }
ol, ul { list-style: none; }
h1 { font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em; font-weight: 650; overflow-wrap: anywhere; text-wrap: balance; }
h2 { font-size: 1.05rem; font-weight: 650; letter-spacing: -.005em; }
h3 { font-size: 1rem; font-weight: 650; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; text-decoration-color: color-mix(in srgb, currentColor 40%, transparent); }
a:hover { text-decoration-color: currentColor; }
code, pre, .num { font-family: var(--mono); font-size: .87em; }
pre code { font-size: inherit; }
.num { font-variant-numeric: tabular-nums; white-space: nowrap; }
.muted, .sub { color: var(--muted); }
.sub { font-size: .87rem; overflow-wrap: anywhere; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
main:focus { outline: none; }
.skip { position: absolute; left: -999px; top: 0; background: var(--surface); padding: .6rem 1rem; z-index: 9; }
.skip:focus { left: .5rem; top: .5rem; }

/* frame */
.bar { display: flex; align-items: center; gap: .9rem; padding: .55rem clamp(.9rem, 3vw, 2rem); background: var(--surface); border-bottom: 1px solid var(--line); position: sticky; top: 0; z-index: 5; min-height: 3.1rem; }
.brand { display: inline-flex; align-items: center; gap: .5rem; font-weight: 700; letter-spacing: -.02em; color: var(--ink); text-decoration: none; font-size: 1.05rem; }
.logo-hull { fill: var(--accent); } .logo-mast { fill: var(--accent); opacity: .55; }
.logo-way { fill: none; stroke: #d0892b; stroke-width: 2.4; stroke-linecap: round; }
.crumbs { min-width: 0; flex: 1; }
.crumbs ol { display: flex; min-width: 0; overflow: hidden; }
.crumbs li { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; min-width: 0; flex: 0 1 auto; }
.crumbs li::before { content: "/"; color: var(--line-strong); margin: 0 .5rem; }
.crumbs a { color: var(--muted); text-decoration: none; } .crumbs a:hover { color: var(--ink); text-decoration: underline; }
.crumbs [aria-current] { font-weight: 550; }
.who { display: flex; align-items: center; gap: .7rem; font-size: .87rem; white-space: nowrap; }
main { width: 100%; max-width: 1240px; margin: 0 auto; padding: 1.5rem clamp(.9rem, 3vw, 2rem) 3rem; flex: 1; }
.foot { color: var(--muted); font-size: .8rem; padding: 1rem clamp(.9rem, 3vw, 2rem) 1.4rem; text-align: center; }
.head { display: flex; justify-content: space-between; align-items: flex-start; gap: 1rem; margin-bottom: 1.1rem; flex-wrap: wrap; }
.head > div:first-child { min-width: 0; flex: 1 1 20rem; }
.sub-head { margin: 2rem 0 .7rem; align-items: baseline; font-size: .93rem; }
.kicker { font-size: .8rem; font-weight: 600; color: var(--muted); margin: 1.6rem 0 .6rem; font-family: var(--mono); }

/* controls */
button, input { font: inherit; color: inherit; }
button { padding: .34rem .8rem; border-radius: 7px; border: 1px solid var(--line-strong); background: var(--surface); font-weight: 550; font-size: .9rem; cursor: pointer; min-height: 2.1rem; }
button:hover { background: var(--sunken); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
button.primary:hover { background: color-mix(in srgb, var(--accent) 88%, var(--ink)); }
button.danger { color: var(--failure); border-color: color-mix(in srgb, var(--failure) 45%, var(--line)); }
button.danger:hover { background: var(--failure-soft); }
button.quiet { border-color: transparent; background: none; color: var(--muted); padding: .2rem .4rem; font-weight: 450; }
button.quiet:hover { color: var(--ink); text-decoration: underline; }
button[disabled] { opacity: .55; cursor: default; }
input:not([type=hidden]) { width: 100%; padding: .4rem .65rem; border: 1px solid var(--line-strong); border-radius: 7px; background: var(--surface); min-height: 2.2rem; }
input::placeholder { color: var(--muted); opacity: 1; }
.buttons { display: flex; gap: .5rem; flex-wrap: wrap; }
.copy { border: 0; background: none; padding: 3px; min-height: 0; border-radius: 4px; color: var(--muted); line-height: 0; vertical-align: -3px; margin-left: 3px; }
.copy:hover { color: var(--ink); background: var(--neutral-soft); }
.copy.done { color: var(--success); }
.digest { white-space: nowrap; max-width: 100%; display: inline-flex; align-items: center; }
.digest code { overflow: hidden; text-overflow: ellipsis; }

/* state: colour, icon, word */
.icon { width: 16px; height: 16px; flex: none; display: block; fill: none; stroke: none; }
.icon .fill { fill: currentColor; }
.icon .cut { fill: none; stroke: var(--surface); stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
.icon .line { fill: none; stroke: currentColor; stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; }
.icon .track { fill: none; stroke: currentColor; stroke-width: 2; opacity: .25; }
.icon .dot { fill: currentColor; }
.icon .spin { fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; transform-origin: 8px 8px; animation: spin 1.1s linear infinite; }
@keyframes spin { to { transform: rotate(360deg); } }
.badge { display: inline-flex; align-items: center; gap: .38rem; font-size: .87rem; font-weight: 600; white-space: nowrap; color: var(--tone); }
.success { --tone: var(--success); --soft: var(--success-soft); }
.active { --tone: var(--active); --soft: var(--active-soft); }
.waiting { --tone: var(--waiting); --soft: var(--waiting-soft); }
.failure { --tone: var(--failure); --soft: var(--failure-soft); }
.warning { --tone: var(--warning); --soft: var(--warning-soft); }
.neutral { --tone: var(--neutral); --soft: var(--neutral-soft); }
.notice { display: flex; gap: .8rem; align-items: center; padding: .65rem .9rem; border-radius: 9px; background: var(--soft); margin-bottom: 1.2rem; }
.notice .cut { stroke: var(--soft); }
.notice .muted { color: color-mix(in srgb, var(--ink) 75%, var(--soft)); }

/* lists */
.rows { display: grid; gap: 0; background: var(--surface); border: 1px solid var(--line); border-radius: 11px; box-shadow: var(--shadow); overflow: hidden; }
.rows:not(:has(.row)) { display: none; }
.row { display: grid; gap: .3rem 1.2rem; padding: .7rem 1rem; align-items: center; }
.row + .row { border-top: 1px solid var(--line); }
.row:hover { background: color-mix(in srgb, var(--sunken) 45%, var(--surface)); }
.run { grid-template-columns: 7.6rem minmax(0, 1fr) minmax(7rem, 13rem) 7rem; }
.project { grid-template-columns: minmax(9rem, 17rem) minmax(0, 1fr) minmax(10rem, 17rem); }
.title { color: var(--ink); font-weight: 550; text-decoration: none; overflow-wrap: anywhere; }
.title:hover { text-decoration: underline; }
.run .title { display: -webkit-box; -webkit-line-clamp: 1; -webkit-box-orient: vertical; overflow: hidden; }
.c-what, .c-where, .c-last { min-width: 0; }
.c-when { text-align: right; }
.c-where .sub { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.c-where .pipe { font-family: var(--mono); font-size: .87rem; }
.last { display: flex; gap: .6rem; align-items: baseline; text-decoration: none; min-width: 0; }
.last .badge { align-self: center; } .last .sub { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.last:hover .sub { text-decoration: underline; }
.chips { display: flex; gap: .4rem; flex-wrap: wrap; }
.chip { display: inline-flex; align-items: center; gap: .4rem; padding: .18rem .6rem .18rem .4rem; background: var(--soft); border-radius: 99px; font-size: .84rem; max-width: 100%; }
.chip .icon { color: var(--tone); width: 14px; height: 14px; } .chip .cut { stroke: var(--soft); }
.chip .name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .chip .word { color: var(--tone); font-weight: 550; }
.empty { text-align: center; padding: 3rem 1.2rem; background: var(--surface); border: 1px dashed var(--line-strong); border-radius: 11px; }
.empty p { color: var(--muted); margin-top: .35rem; }
.empty .logo { width: 52px; height: 52px; margin-bottom: .8rem; }
.cmd { display: inline-block; text-align: left; background: var(--sunken); padding: .6rem .9rem; border-radius: 8px; margin: 1rem 0 0; max-width: 100%; overflow-x: auto; }
.none { padding: .3rem 0; }
.pager { display: flex; justify-content: space-between; margin-top: 1rem; gap: 1rem; }
.pager [rel=next] { margin-left: auto; }

/* what is where */
.lane { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(17rem, 1fr); gap: 1.9rem; overflow-x: auto; padding: 2px; align-items: start; }
.stage { position: relative; display: flex; flex-direction: column; gap: .55rem; background: var(--surface); border: 1px solid var(--line); border-radius: 11px; padding: .85rem 1rem 1rem; box-shadow: var(--shadow); min-width: 0; }
.stage + .stage::before { content: ""; position: absolute; left: calc(-1.9rem - 1px); top: 1.55rem; width: 1.9rem; border-top: 2px solid var(--line-strong); }
.stage + .stage::after { content: ""; position: absolute; left: -.62rem; top: calc(1.55rem - 3px); width: 8px; height: 8px; border: 2px solid var(--line-strong); border-width: 2px 2px 0 0; transform: rotate(45deg); }
.stage > header, .panel > header { display: flex; justify-content: space-between; align-items: center; gap: .8rem; }
.stage .host { margin-top: -.45rem; }
.release { display: grid; gap: .12rem; min-width: 0; }
.health .badge { font-weight: 500; }
.rollout, .pending { background: var(--sunken); border-radius: 9px; padding: .7rem .8rem; display: grid; gap: .5rem; }
.pending { background: var(--waiting-soft); }
.pending .muted, .pending .sub, .pending input::placeholder { color: color-mix(in srgb, var(--ink) 72%, var(--waiting-soft)); }
.pending .cut { stroke: var(--waiting-soft); } .rollout .cut { stroke: var(--sunken); }
.ask .count { font-size: .87rem; }
.ask { display: flex; justify-content: space-between; gap: .15rem .8rem; flex-wrap: wrap; align-items: baseline; }
.rollout .ask { justify-content: flex-start; align-items: center; }
.waves { display: grid; gap: .5rem; min-width: 0; }
.waves .share { display: block; width: 100%; height: 8px; border-radius: 4px; }
.waves .all { fill: var(--line); } .waves .fill { fill: var(--active); }
.waves ol { display: flex; flex-wrap: wrap; gap: .35rem; }
.waves li { font: .8rem var(--mono); padding: .1rem .45rem; border-radius: 6px; border: 1px solid var(--line); color: var(--muted); }
.waves .done { background: var(--success-soft); color: var(--success); border-color: transparent; }
.waves .now { background: var(--active-soft); color: var(--active); border-color: currentColor; font-weight: 650; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .6rem .9rem; }
.charts figcaption { font-size: .8rem; color: var(--muted); display: flex; gap: .6rem; flex-wrap: wrap; }
.charts svg { display: block; width: 100%; height: 64px; background: var(--surface); border: 1px solid var(--line); border-radius: 6px; }
.charts path { fill: none; stroke-width: 1.8; vector-effect: non-scaling-stroke; }
.charts path.new { stroke: var(--active); } .charts path.old { stroke: var(--muted); stroke-dasharray: 4 3; }
.charts .num.new, .legend .new { color: var(--active); } .legend { grid-column: 1 / -1; display: flex; gap: 1rem; }
.decide { display: grid; gap: .5rem; }
.acts { display: flex; flex-wrap: wrap; gap: .5rem .6rem; align-items: flex-start; margin-top: auto; padding-top: .2rem; }
.acts > form { display: flex; flex-wrap: wrap; gap: .2rem .6rem; align-items: baseline; min-width: 0; }
.confirm { font-size: .9rem; }
.confirm summary { cursor: pointer; width: fit-content; list-style: none; border: 1px solid var(--line-strong); border-radius: 7px; padding: .34rem .8rem; min-height: 2.1rem; font-weight: 550; }
.confirm summary::-webkit-details-marker { display: none; }
.confirm summary:hover { background: var(--sunken); }
.confirm[open] { flex-basis: 100%; } .confirm[open] summary { margin-bottom: .5rem; color: var(--muted); }
.confirm form { display: grid; gap: .5rem; border: 1px solid color-mix(in srgb, var(--failure) 40%, var(--line)); border-radius: 9px; padding: .7rem .8rem; }
.confirm form button { justify-self: start; }
.decisions { display: grid; gap: .35rem; font-size: .87rem; }
.decisions:not(:has(li)), .events:not(:has(li)), .acts:not(:has(*)), .side:not(:has(*)) { display: none; }
.decisions li { display: flex; gap: .6rem; align-items: baseline; } .decisions .badge { align-self: start; }
.decisions q { display: block; quotes: none; color: var(--muted); overflow-wrap: anywhere; }
.hook { margin-top: 1.8rem; }

/* board */
.scroll { overflow-x: auto; }
.board { border-collapse: separate; border-spacing: 0; width: 100%; table-layout: fixed; background: var(--surface); border: 1px solid var(--line); border-radius: 11px; box-shadow: var(--shadow); }
.board:not(:has(td)) { display: none; }
.board th, .board td { text-align: left; vertical-align: top; padding: .7rem 1rem; border-bottom: 1px solid var(--line); font-weight: inherit; overflow-wrap: anywhere; }
.board thead th { width: 17rem; } .board thead th:first-child { width: 13rem; }
.board tr:last-child > * { border-bottom: 0; }
.board thead th { color: var(--muted); font: 600 .8rem var(--mono); padding-block: .5rem; }
.board td + td { border-left: 1px solid var(--line); } .board tbody th + td { border-left: 1px solid var(--line); }
.board td.failure, .board td.waiting { background: color-mix(in srgb, var(--soft) 45%, var(--surface)); }
.board td .ask { margin-bottom: .3rem; justify-content: flex-start; align-items: center; } .board .at { display: none; margin: 0; }
.board .release .title { display: -webkit-box; -webkit-line-clamp: 1; -webkit-box-orient: vertical; overflow: hidden; }
.board .why { margin-top: .35rem; }
.board .no { background: var(--sunken); }

/* run */
.state { display: flex; align-items: center; gap: .7rem; margin-bottom: .15rem; }
.meta { display: flex; flex-wrap: wrap; gap: .5rem 1.9rem; margin-bottom: 1.3rem; }
.meta div { min-width: 0; } dt { color: var(--muted); font-size: .8rem; } .meta dd { overflow-wrap: anywhere; }
.problem { background: var(--failure-soft); border-radius: 9px; padding: .7rem .9rem; margin-bottom: 1.2rem; display: grid; gap: .35rem; overflow-wrap: anywhere; min-width: 0; }
.problem strong { color: var(--failure); } .problem .sub { color: color-mix(in srgb, var(--ink) 75%, var(--failure-soft)); }
.panel .problem { margin: .3rem 0 0; }
.panel > ul.plan { list-style: none; margin: 0; padding: 0; display: grid; gap: .3rem; } .plan li { display: flex; flex-wrap: wrap; gap: .1rem .45rem; align-items: center; }
main > .panel { padding: .8rem 1rem 1rem; display: grid; gap: .5rem; margin: 0 0 1rem; }
.diagnostic { background: var(--surface); border: 1px solid var(--line); border-radius: 11px; margin-bottom: 1.2rem; overflow: hidden; }
.diagnostic figcaption { padding: .7rem 1rem; display: grid; gap: .15rem; overflow-wrap: anywhere; }
.diagnostic .at { color: var(--warning); }
.diagnostic pre { margin: 0; background: var(--sunken); padding: .7rem 1rem; overflow-x: auto; border-block: 1px solid var(--line); tab-size: 4; }
.diagnostic .ln { display: inline-block; min-width: 2.2rem; padding-right: 1rem; color: var(--muted); user-select: none; }
.caret { color: var(--failure); font-weight: 700; }
.diagnostic .fix { padding: .6rem 1rem; }
.graph { overflow-x: auto; margin-bottom: 1.3rem; padding: 2px 0; }
@media (max-width: 1100px) { .graph { mask-image: linear-gradient(to right, #000 calc(100% - 3rem), transparent); } .graph > svg { margin-right: 3rem; } }
.graph > svg { display: block; }
.edge { fill: none; stroke: var(--line-strong); stroke-width: 1.5; }
.node rect { fill: var(--surface); stroke: var(--line); stroke-width: 1; }
.node:hover rect { stroke: var(--tone); }
.node.active rect, .node.failure rect, .node.warning rect { stroke: var(--tone); }
.node .icon { color: var(--tone); }
.node .n { font: 600 13px var(--sans); fill: var(--ink); } .node .d { font: 11.5px var(--sans); fill: var(--muted); }
.node { text-decoration: none; } .node:focus-visible rect { stroke: var(--accent); stroke-width: 2; }
.cols { display: grid; grid-template-columns: minmax(0, 1fr) 23rem; gap: 1.2rem; align-items: start; }
.cols:not(:has(.side > *)), .cols:not(:has(#steps > *)) { grid-template-columns: minmax(0, 1fr); }
#steps { display: grid; gap: .7rem; min-width: 0; } .side { display: grid; gap: .8rem; min-width: 0; }
#steps:not(:has(> *)) { display: none; } #steps:not(:has(> *)) + .side { display: block; columns: 2 26rem; column-gap: 1.2rem; }
#steps:not(:has(> *)) + .side > * { break-inside: avoid; margin-bottom: .8rem; }
.panel { background: var(--surface); border: 1px solid var(--line); border-radius: 11px; box-shadow: var(--shadow); min-width: 0; }
.side .panel { padding: .8rem 1rem 1rem; display: grid; gap: .5rem; }
.step { overflow: hidden; scroll-margin-top: 4rem; } .side .panel { scroll-margin-top: 4rem; }
.step summary { display: flex; align-items: center; gap: .3rem .9rem; padding: .6rem 1rem; cursor: pointer; list-style: none; flex-wrap: wrap; }
.step summary::-webkit-details-marker { display: none; }
.step summary::after { content: ""; width: 7px; height: 7px; border: solid var(--muted); border-width: 0 1.6px 1.6px 0; transform: rotate(45deg) translate(-2px, -2px); }
.step[open] summary::after { transform: rotate(225deg) translate(-2px, -2px); }
.step summary:hover { background: color-mix(in srgb, var(--sunken) 55%, var(--surface)); }
.step summary:focus-visible { outline-offset: -3px; border-radius: 10px; }
.step .name { font-weight: 600; } .step .image { flex: 1; min-width: 0; font-family: var(--mono); font-size: .8rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.step .num { margin-left: auto; color: var(--muted); } .outcome { color: var(--failure); }
.note, .nolog { padding: .3rem 1rem .6rem; }
.log { background: var(--log); color: var(--log-ink); font: .8rem/1.55 var(--mono); padding: .6rem 0; max-height: 34rem; overflow: auto; counter-reset: none; overscroll-behavior: contain; }
.log:empty { display: none; }
.log li { display: flex; gap: .9rem; padding: 0 1rem; }
.log li:hover { background: rgb(255 255 255 / 5%); }
.log time { color: var(--log-muted); flex: none; user-select: none; font-variant-numeric: tabular-nums; }
.log code { font-size: inherit; white-space: pre-wrap; overflow-wrap: anywhere; min-width: 0; tab-size: 8; }
.log .err { box-shadow: inset 3px 0 0 #8a4b45; }
.log:focus-visible { outline-offset: -2px; }
.whole { overflow: hidden; } .whole .log { max-height: none; } .whole .note:empty { display: none; }
.short { border-radius: 7px; max-height: 16rem; }
.cut { color: var(--log-muted); }
.f0, .f8 { color: #8996a3; } .f1 { color: #ff8a80; } .f2 { color: #7fd48f; } .f3 { color: #e6c15a; } .f4 { color: #79b8ff; } .f5 { color: #d9a1f5; } .f6 { color: #5fd0dc; } .f7 { color: #d7dee6; }
.f9 { color: #ffa198; } .f10 { color: #9be9a8; } .f11 { color: #f2d479; } .f12 { color: #a5cfff; } .f13 { color: #e8c2fa; } .f14 { color: #8fe3ec; } .f15 { color: #ffffff; }
.b0 { background: #2a333c; } .b1 { background: #6e1f1a; } .b2 { background: #17502a; } .b3 { background: #5c4710; } .b4 { background: #123f73; } .b5 { background: #532a69; } .b6 { background: #0f4a52; } .b7 { background: #46525e; }
.b8 { background: #3a4550; } .b9 { background: #8a2a24; } .b10 { background: #1d6635; } .b11 { background: #6f5614; } .b12 { background: #18508f; } .b13 { background: #673482; } .b14 { background: #135c66; } .b15 { background: #55626f; }
.bold { font-weight: 700; } .dim { opacity: .75; } .ital { font-style: italic; } .under { text-decoration: underline; }
.inv { background: #d7dee6; color: #10161c; }
.ref { overflow-wrap: anywhere; }
.layers { width: 100%; border-collapse: collapse; font-size: .87rem; }
.layers th { text-align: left; font-weight: 500; font-size: .8rem; color: var(--muted); }
.layers th, .layers td { padding: .22rem 0; border-bottom: 1px solid var(--line); } .layers tr:last-child td { border-bottom: 0; }
.layers .num { text-align: right; font-size: .8rem; }
.facts { display: grid; gap: .3rem; font-size: .87rem; } .facts div { display: grid; grid-template-columns: 6rem minmax(0, 1fr); gap: .6rem; }
.facts dt { font-size: inherit; } .facts dd { font-family: var(--mono); font-size: .83rem; overflow-wrap: anywhere; }
.events { display: grid; gap: .6rem; font-size: .87rem; position: relative; }
.events li { display: flex; gap: .6rem; position: relative; min-width: 0; } .events li > div { min-width: 0; }
.events .icon { color: var(--tone); margin-top: 2px; }
.events .word { font-weight: 600; }
.events li:not(:last-child)::before { content: ""; position: absolute; left: 7.25px; top: 1.4rem; bottom: -.45rem; border-left: 1.5px solid var(--line); }

/* one card: sign in, errors */
.card { max-width: 26rem; margin: clamp(1rem, 9vh, 6rem) auto 0; background: var(--surface); border: 1px solid var(--line); border-radius: 14px; padding: 1.8rem; display: grid; gap: .9rem; box-shadow: var(--shadow); }
.card .logo { width: 44px; height: 44px; } .card form { display: grid; gap: .5rem; } .card form button { margin-top: .4rem; } .card label { font-weight: 550; font-size: .9rem; }
.card .problem { margin: 0; color: var(--failure); } .card p { overflow-wrap: anywhere; }
.status { font: 600 .9rem var(--mono); color: var(--muted); }

@media (max-width: 60rem) { .cols { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 46rem) {
  main { padding-top: 1.1rem; }
  .bar { flex-wrap: wrap; gap: .2rem .8rem; } .who { margin-left: auto; } .who .muted { display: none; }
  .crumbs { order: 3; flex-basis: 100%; } .crumbs:not(:has(li)) { display: none; } .crumbs li:first-child::before { display: none; }
  .board, .board tbody, .board tr, .board th, .board td { display: block; min-width: 0; } .board thead, .board .no { display: none; }
  .board tbody th { background: var(--sunken); } .board tr:first-child > th { border-radius: 11px 11px 0 0; }
  .board td + td, .board tbody th + td { border-left: 0; } .board .at { display: inline; } .board tr:last-child > *:not(:last-child) { border-bottom: 1px solid var(--line); }
  .run { grid-template-columns: minmax(0, 1fr) auto; } .run .c-what { grid-column: 1 / -1; grid-row: 1; } .run .title { -webkit-line-clamp: 2; }
  .run .c-state { grid-row: 2; } .run .c-when { grid-row: 2; display: flex; gap: .6rem; align-items: baseline; } .run .c-where { grid-column: 1 / -1; display: flex; gap: .6rem; align-items: baseline; }
  .project { grid-template-columns: minmax(0, 1fr); }
  .lane { grid-auto-flow: row; grid-auto-columns: auto; grid-template-columns: minmax(0, 1fr); gap: 1.6rem; overflow: visible; }
  .stage + .stage::before { left: 2rem; top: calc(-1.6rem - 1px); width: 0; height: 1.6rem; border-top: 0; border-left: 2px solid var(--line-strong); }
  .stage + .stage::after { left: calc(2rem - 3px); top: -.7rem; transform: rotate(135deg); }
  .log { font-size: .75rem; } .log time { display: none; } .log li { padding: 0 .8rem; }
  .meta { display: grid; grid-template-columns: 1fr 1fr; gap: .55rem 1rem; }
  .step .image { order: 5; flex-basis: 100%; }
  button, input:not([type=hidden]) { min-height: 2.6rem; } .copy { min-height: 0; padding: 6px; } .who button { min-height: 2rem; }
}
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; scroll-behavior: auto !important; } .icon .dot { fill: currentColor; }
.icon .spin { stroke-dasharray: none; } }
@media (forced-colors: active) { .badge, .chip, .icon { forced-color-adjust: auto; } .stage, .panel, .rows { border: 1px solid; } }
@media print { .bar, .foot, button, .confirm { display: none; } .log { max-height: none; } }

"""###.utf8)),
        "app.js": ("text/javascript; charset=utf-8", Array(###"""
// Live parts of the pages. Everything works without it; it only saves pressing reload.
"use strict";
(() => {
  const maxLines = 5000;
  const maxStreams = 4; // A browser allows six connections to a server over HTTP/1.1.
  const streams = new Map();
  const ended = new WeakSet(); // An end is final, whatever a page that was made a moment too early says.

  const say = (text) => { document.getElementById("said").textContent = text; };

  // ---- copying ----
  const reveal = (root) => root.querySelectorAll(".copy[hidden]").forEach((b) => { b.hidden = false; });
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("refused");
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    event.preventDefault();
    copy(button.dataset.copy).then(() => {
      say("Copied");
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1200);
    }, () => say("Copying was refused by the browser"));
  });

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    const buttons = event.target.querySelectorAll("button");
    setTimeout(() => buttons.forEach((b) => { b.disabled = true; }), 0);
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // ---- logs ----
  // A log ends at a byte offset, and so does every line: a line at or before the end was already shown. The
  // first request names the offset, reconnects of the browser send it as Last-Event-ID.
  const follow = (log) => {
    if (!log.dataset.events || streams.has(log) || ended.has(log) || streams.size >= maxStreams) return;
    const source = new EventSource(log.dataset.events);
    streams.set(log, source);
    let end = Number(log.dataset.offset) || 0;
    let waiting = [];
    let scheduled = false;

    const show = () => {
      scheduled = false;
      const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      const fragment = document.createDocumentFragment();
      for (const line of waiting) {
        const item = document.createElement("li");
        if (line.stream === "stderr") item.className = "err";
        const time = document.createElement("time");
        time.textContent = /T\d\d:\d\d:\d\d/.test(line.time) ? line.time.split("T")[1].slice(0, 8) : line.time;
        const text = document.createElement("code");
        text.innerHTML = line.html; // Escaped by the server.
        item.append(time, text);
        fragment.append(item);
      }
      waiting = [];
      log.append(fragment);
      while (log.childElementCount > maxLines) log.firstElementChild.remove();
      log.parentElement.querySelector(".nolog")?.remove();
      if (atBottom) log.scrollTop = log.scrollHeight;
      log.dataset.offset = String(end);
    };
    source.addEventListener("line", (event) => {
      const offset = Number(event.lastEventId);
      if (!(offset > end)) return;
      end = offset;
      waiting.push(JSON.parse(event.data));
      if (waiting.length > maxLines) waiting.shift();
      if (!scheduled) { scheduled = true; document.hidden ? setTimeout(show, 200) : requestAnimationFrame(show); }
    });
    const stop = () => {
      source.close();
      streams.delete(log);
      ended.add(log);
      delete log.dataset.events;
      refresh();
    };
    source.addEventListener("end", stop);
    source.addEventListener("state", () => refresh());
    source.addEventListener("error", () => {
      // Refused for good (the browser retries everything else itself): let the next refresh try again.
      if (source.readyState === EventSource.CLOSED) streams.delete(log);
    });
    if (log.scrollTop === 0) log.scrollTop = log.scrollHeight;
  };
  const followAll = () => document.querySelectorAll(".log[data-events]").forEach((log) => {
    if (!log.closest("details:not([open])")) follow(log);
  });

  // ---- the rest of the page ----
  const isInUse = (region) => region.contains(document.activeElement) && document.activeElement.matches("input, button")
    || [...region.querySelectorAll("input:not([type=hidden])")].some((i) => i.value !== i.defaultValue)
    || region.querySelector("details.confirm[open]") !== null;

  const adopt = (fresh) => {
    if (!fresh.getElementById("main")) return;
    const anchors = (root) => [...root.querySelectorAll("#steps > details")].map((d) => d.id).join();
    const steps = document.getElementById("steps");
    if (steps && anchors(document) !== anchors(fresh)) {
      streams.forEach((source) => source.close());
      streams.clear();
      steps.replaceChildren(...fresh.getElementById("steps").childNodes);
    }
    for (const region of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(region.id);
      if (!next || next.innerHTML === region.dataset.shown || isInUse(region)) continue;
      const markup = next.innerHTML;
      region.replaceChildren(...next.childNodes);
      region.dataset.shown = markup;
    }
    // Logs grow by their streams; only one that begins or has ended while we did not listen is touched here.
    for (const next of fresh.querySelectorAll(".step")) {
      const panel = document.getElementById(next.id);
      const log = panel?.querySelector(".log"), fromServer = next.querySelector(".log");
      if (!log || !fromServer || streams.has(log)) continue;
      if (Number(fromServer.dataset.offset) > Number(log.dataset.offset)) {
        log.replaceChildren(...fromServer.childNodes);
        log.dataset.offset = fromServer.dataset.offset;
        panel.querySelector(".nolog")?.remove();
      }
      if (fromServer.dataset.events && !ended.has(log)) {
        if (!log.dataset.events && next.open) panel.open = true;
        log.dataset.events = fromServer.dataset.events.replace(/([&?]after=)\d+/, `$1${log.dataset.offset}`);
      } else delete log.dataset.events;
    }
    document.title = fresh.title;
    if (fresh.body.dataset.refresh) document.body.dataset.refresh = fresh.body.dataset.refresh;
    else delete document.body.dataset.refresh;
    reveal(document);
    followAll();
  };

  let busy = false, again = false, timer = 0;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    clearTimeout(timer);
    try {
      const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) adopt(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* The server restarts, or the network is away: the next round will tell. */ }
    busy = false;
    if (again) { again = false; setTimeout(refresh, 250); } else plan();
  };
  const plan = () => {
    clearTimeout(timer);
    const seconds = Number(document.body.dataset.refresh);
    if (seconds > 0) timer = setTimeout(() => document.hidden ? plan() : refresh(), seconds * 1000);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && document.body.dataset.refresh) refresh(); });
  document.addEventListener("toggle", (event) => { if (event.target.matches?.(".step[open]")) followAll(); }, true);
  window.addEventListener("pagehide", () => streams.forEach((source) => source.close()));

  // A link to a closed step opens it.
  const openTarget = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)))
      || location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.matches("details")) target.open = true;
  };
  window.addEventListener("hashchange", openTarget);

  reveal(document);
  openTarget();
  followAll();
  plan();
})();

"""###.utf8)),
        "favicon.svg": ("image/svg+xml", Array(###"""
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0d5c75"/><path fill="#fff" d="M5.6 11.2l19.2 4.8-1.9 3.8a2.8 2.8 0 0 1-3.2 1.5L9.9 18.8a3.2 3.2 0 0 1-2.1-1.8z"/><path fill="#9fe0f0" d="M12.3 10.6l1.2-4.6 7.8 6.8z"/><path fill="none" stroke="#f0b95a" stroke-width="2.4" stroke-linecap="round" d="M5 21.4l22 5.5"/></svg>

"""###.utf8)),
    ]
}
