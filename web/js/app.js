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
