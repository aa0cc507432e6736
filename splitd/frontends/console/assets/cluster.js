// The cluster, for operators: the numbers of the operators' port, in words and drawings.
import { html, useEffect, useState } from "./html.js";
import { api, call } from "./api.js";
import { Chart, rates, values } from "./charts.js";
import { Confirm, open, say, sayFailure } from "./dialogs.js";
import { formatNumber, formatSize, formatSpan, formatTime } from "./format.js";
import { Icon } from "./icons.js";
import { t } from "./texts.js";

const KEPT = 2000; // samples: those of an hour, one each two seconds

const share = (value) => `${formatNumber(value * 100, value > 0 && value < 0.1 ? 1 : 0)} %`;

/** The reports of the front as they come. */
function useReports() {
  const [state, setState] = useState({ report: null, samples: [], failure: null, at: 0 });
  useEffect(() => {
    const source = new EventSource(`${api}/cluster/events`);
    source.addEventListener("history", (event) => {
      const samples = JSON.parse(event.data);
      setState((old) => ({ ...old, samples }));
    });
    source.addEventListener("message", (event) => {
      const { report, sample } = JSON.parse(event.data);
      setState((old) => ({ report, samples: [...old.samples, sample].slice(-KEPT), failure: null, at: Date.now() }));
    });
    source.addEventListener("error", () => {
      setState((old) => ({ ...old, failure: true }));
      // An event source does not say why it was refused.
      if (source.readyState === EventSource.CLOSED) {
        call("GET", `${api}/cluster`).then(() => {}, (problem) => setState((old) => ({ ...old, failure: problem })));
      }
    });
    document.title = `${t("cluster")} – splitd`;
    return () => source.close();
  }, []);
  return state;
}

export function Cluster() {
  const { report, samples, failure, at } = useReports();
  if (!report) {
    const text = failure && failure.status === 403 ? t("operatorsOnly") : failure && failure.message ? failure.message : t("loading");
    return html`<div class="panel"><div class="empty"><p class="hint">${text}</p></div></div>`;
  }
  return html`<div class="panel cluster">
    <h1 class="unseen">${t("cluster")}</h1>
    ${failure && html`<p class="stale" role="status"><${Icon} name="warning" size=${18} />${t("stale", formatTime(at))}</p>`}
    <${Health} report=${report} />
    <${Facts} report=${report} />
    <${Nodes} report=${report} />
    <${Fronts} fronts=${report.fronts} />
    <${Charts} samples=${samples} />
    <div class="columns"><${Upkeep} report=${report} /><${Journal} report=${report} /></div>
    <p class="hint fine">${t("clusterId", report.cluster)} · splitd ${report.version}</p>
  </div>`;
}

/** The alarms, in the words of the server. */
function Health({ report }) {
  const problems = [
    ...report.reads.problems.map((text) => [t("notReading"), text]),
    ...report.writes.problems.filter((text) => !report.reads.problems.includes(text)).map((text) => [t("notWriting"), text]),
    ...(report.heal.unreadable ? [[t("healUnreadable", report.heal.unreadable), report.heal.problem]] : []),
  ];
  const warnings = report.warnings.filter((text) => !problems.some(([, other]) => other === text));
  if (!problems.length && !warnings.length) {
    return html`<section class="health good"><span class="health-mark"><${Icon} name="check" /></span>
      <div><h2>${t("allWell")}</h2><p>${t("allWellText")}</p></div></section>`;
  }
  return html`<section class=${problems.length ? "health bad" : "health warn"}><span class="health-mark"><${Icon} name="warning" /></span>
    <div><h2>${t("alarms")}</h2><ul>
      ${problems.map(([what, text]) => html`<li><strong>${what}</strong> ${text}</li>`)}
      ${warnings.map((text) => html`<li>${text}</li>`)}
    </ul></div></section>`;
}

function Facts({ report }) {
  const up = report.nodes.filter((node) => node.state === "up").length;
  const [data, parity] = report.layout.split("+");
  const copies = report.journal.copies;
  const free = report.nodes.filter((node) => node.mode === "active").reduce((sum, node) => sum + node.free, 0);
  const facts = [
    [t("factFiles"), formatNumber(report.files)],
    [t("factStored"), formatSize(report.bytes)],
    [t("factNodes"), `${up} / ${report.nodes.length}`],
    [t("factFree"), formatSize(distinctFree(report.nodes, free))],
    [t("factLayout"), `${data} + ${parity}`],
    [t("factCopies"), copies ? t("copiesOf", copies.present, copies.wanted) : "–"],
    [t("factUptime"), formatSpan(report.uptime_s)],
  ];
  return html`<dl class="figures">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Nodes that share a volume share its room. */
function distinctFree(nodes, otherwise) {
  const volumes = new Map();
  for (const node of nodes) if (node.mode === "active") volumes.set(node.volume || node.id, node.free);
  return volumes.size ? [...volumes.values()].reduce((sum, free) => sum + free, 0) : otherwise;
}

const bad = new Set(["down", "stranger", "lost"]);
const answers = (node) => !bad.has(node.state) && node.state !== "unknown";
const tone = (node) => (bad.has(node.state) ? "bad" : node.state === "up" ? (node.scrub.rotten ? "warn" : "good") : "warn");

function Nodes({ report }) {
  const zones = new Map();
  for (const node of report.nodes) {
    if (!zones.has(node.zone)) zones.set(node.zone, []);
    zones.get(node.zone).push(node);
  }
  const single = zones.size === 1;
  return html`<section><header class="section-head"><h2>${t("byZone")}</h2>
      ${report.fill && html`<span class="hint">${t("spread", share(report.fill.spread))}</span>`}</header>
    <div class=${single ? "zones single" : "zones"}>${[...zones].map(
      ([zone, nodes]) => html`<div class="zone">
        ${!single && html`<h3>${zone || t("noZone")}</h3>`}
        <ul>${nodes.map((node) => html`<${Node} key=${node.id} node=${node} />`)}</ul>
      </div>`,
    )}</div></section>`;
}

/** In milliseconds, with two digits. */
const latencyOf = ({ latency_ms: ms }) => formatNumber(ms, ms < 9.95 ? 1 : 0);

function Node({ node }) {
  const fill = node.fill ?? 0;
  return html`<li class=${`node ${tone(node)}`}>
    <div class="node-head"><i class="dot"></i><strong>${node.id}</strong><span class="state">${t(`state-${node.state}`)}</span>
      ${Number.isFinite(node.latency_ms) && html`<span class="latency" title=${t("latencyTitle")}>${t("latency", latencyOf(node))}</span>`}
      <span class="percent">${node.fill === null ? "–" : share(fill)}</span></div>
    <div class=${fill > 0.9 ? "track full" : "track"} role="meter" aria-label=${`${node.id}: ${share(fill)}`} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(fill * 100)}>
      <div style=${{ width: `${fill * 100}%` }}></div></div>
    <div class="hint">${node.capacity ? t("nodeFree", formatSize(node.free), formatSize(node.capacity)) : new URL(node.url).host}</div>
    ${node.scrub.rotten > 0 && html`<div class="node-problem">${t("rotten", node.scrub.rotten)}</div>`}
    ${node.problem && html`<div class="node-problem">${node.problem}</div>`}
  </li>`;
}

/** The fronts that share the catalog, if it is one that can be shared. */
function Fronts({ fronts }) {
  if (!fronts.length) return null;
  return html`<section class="card"><h2>${t("fronts")}</h2><ul class="duties">${fronts.map(
    (front) => html`<li key=${front.id} class=${front.gone ? "bad" : ""}><i class="dot"></i><div><strong>${front.address || front.id}</strong>
      <p>${[t(front.gone ? "frontGone" : "frontSince", formatTime(front.gone ? front.heard_ms : front.since_ms)), `splitd ${front.version}`,
        front.asked && t("frontAsked"), ...front.upkeep.map((task) => t(`frontDoes-${task}`))].filter(Boolean).join("; ")}</p></div></li>`,
  )}</ul></section>`;
}

function Charts({ samples }) {
  const now = samples.length ? samples.at(-1)[0] : Date.now();
  // The samples of every two seconds are drawn as coarse as the others.
  const even = samples.filter((sample, index) => index === samples.length - 1 || index % 5 === 0 || sample[0] - (samples[index - 1] || sample)[0] > 5000);
  const speed = (value) => t("perSecond", formatSize(value));
  const number = (value) => formatNumber(value, value > 0 && value < 10 ? 1 : 0);
  return html`<section><header class="section-head"><h2>${t("lastHour")}</h2></header><div class="charts">
    <${Chart} title=${t("chartTraffic")} now=${now} base=${1024} format=${speed} series=${[
      { name: t("chartUp"), points: rates(even, 1), className: "first" }, { name: t("chartDown"), points: rates(even, 2), className: "second" }]} />
    <${Chart} title=${t("chartRequests")} now=${now} format=${number} series=${[
      { name: t("chartRequests"), points: rates(even, 3), className: "first" }, { name: t("chartErrors"), points: rates(even, 4), className: "third" }]} />
    <${Chart} title=${t("chartUnderWay")} now=${now} format=${number} series=${[
      { name: t("uploads"), points: values(even, 5), className: "first" }, { name: t("downloads"), points: values(even, 6), className: "second" }]} />
  </div></section>`;
}

/** Ask the front for something that the operators' port offers, too. */
async function ask(method, name, query = "") {
  const answer = await call(method, `${api}/cluster/act/${name}${query}`);
  return answer.json();
}

async function tried(what, work) {
  try {
    await work();
  } catch (problem) {
    sayFailure(what, problem);
  }
}

const startRebalance = () => tried(t("rebalance"), async () => {
  const plan = await ask("POST", "rebalance", "?dry_run=1");
  await open(Confirm, {
    title: t("rebalance"),
    text: t("rebalancePlan", plan.parts, formatSize(plan.bytes), share(plan.after), share(plan.spread)),
    action: t("start"),
    run: () => ask("POST", "rebalance"),
  });
});

const change = (name, method) => () => tried(t(name), () => ask(method, name));

const pauseHeal = () => open(Confirm, {
  title: t("heal"), text: t("healPauseText"), action: t("pause"), run: () => ask("DELETE", "heal"),
});

/** Pause or resume the scrubs of all nodes, and tell which nodes were not reached. */
async function askScrubs(method) {
  const { nodes } = await ask(method, "scrub");
  const failed = nodes.filter((node) => node.problem);
  if (failed.length) say(failed.map((node) => `${node.id}: ${node.problem}`).join("; "));
}

const resumeScrub = () => tried(t("scrub"), () => askScrubs("POST"));

const pauseScrub = () => open(Confirm, {
  title: t("scrub"), text: t("scrubPauseText"), action: t("pause"), run: () => askScrubs("DELETE"),
});

const sweep = (query) => () => tried(t("sweep"), async () => {
  const done = await ask("POST", "sweep", query);
  say(t("sweepText", done.orphans, done.trashed, done.stopped || t("allWell")));
});

function Upkeep({ report }) {
  const { heal, reaper, rebalance, sweep: swept, nodes, relayout } = report;
  const scrubbing = nodes.filter(answers); // those that are full or readonly as well
  const scrubbed = scrubbing.length ? scrubbing.reduce((sum, node) => sum + node.scrub.share, 0) / scrubbing.length : 0;
  const running = rebalance && rebalance.state === "running";
  const held = scrubbing.filter((node) => node.scrub.paused).map((node) => node.id);
  const rotten = nodes.reduce((sum, node) => sum + node.scrub.rotten, 0);
  const rows = [
    ["heal", heal.state === "idle" ? t("healIdle") : heal.state === "blocked" ? t("healBlocked", heal.problem)
      : heal.state === "paused" ? t("healPaused")
      : t("healRunning", heal.parts, formatSize(heal.bytes), formatSize(heal.rate), heal.seconds_left === null ? "…" : formatSpan(heal.seconds_left)),
      heal.state === "idle" ? "" : heal.state === "blocked" || heal.state === "paused" ? "bad" : "busy",
      [heal.state === "paused" ? [t("goOn"), change("heal", "POST")] : [t("pause"), pauseHeal]]],
    ["reaper", t("reaperText", reaper.doomed, reaper.reaped), reaper.doomed ? "busy" : ""],
    ["scrub", [held.length ? t("scrubPaused", held.join(", ")) : t("scrubText", share(scrubbed)), rotten > 0 && t("rotten", rotten)].filter(Boolean).join("; "),
      rotten || held.length ? "bad" : "",
      held.length ? [[t("goOn"), resumeScrub]] : [[t("pause"), pauseScrub]]],
    ["rebalance", !rebalance ? t("never") : running ? t("rebalanceRunning", rebalance.moved, formatSize(rebalance.bytes), share(rebalance.spread), share(rebalance.target))
      : [t("rebalanceDone", rebalance.moved, formatSize(rebalance.bytes), share(rebalance.spread)), rebalance.failed > 0 && t("failedMoves", rebalance.failed), rebalance.problem].filter(Boolean).join("; "),
      running ? "busy" : rebalance && rebalance.state === "failed" ? "bad" : "",
      running ? [[t("abortRebalance"), () => tried(t("rebalance"), () => ask("DELETE", "rebalance"))]] : [[t("start"), startRebalance]]],
    ["sweep", report.sweeping ? t("sweeping") : swept ? t("sweepText", swept.orphans, swept.trashed, swept.stopped || formatTime(swept.began_ms)) : t("never"), report.sweeping ? "busy" : swept && swept.stopped ? "bad" : "",
      report.sweeping ? [[t("stop"), change("sweep", "DELETE")]] : [[t("dryRun"), sweep("?dry_run=1")], [t("start"), sweep("")]]],
    ...(relayout ? [["relayout", relayout.state, relayout.state === "running" ? "busy" : ""]] : []),
  ];
  return html`<section class="card"><h2>${t("upkeep")}</h2><ul class="duties">${rows.map(
    ([name, text, state, buttons = []]) => html`<li class=${state}><i class="dot"></i><div><strong>${t(name)}</strong><p>${text}</p></div>
      <span class="duty-buttons">${buttons.map(([label, run]) => html`<button aria-label=${t("actionOn", label, t(name))} onClick=${run}>${label}</button>`)}</span></li>`,
  )}</ul></section>`;
}

function Journal({ report }) {
  const { journal } = report;
  const problem = journal.failure || journal.compaction_problem || (journal.copies && journal.copies.problem);
  return html`<section class="card"><h2>${t("journal")}</h2>
    <p>${t("journalText", journal.records, formatSize(journal.size), t("segments", journal.segments))}</p>
    ${problem && html`<p class="problem">${problem}</p>`}
    ${journal.copies && html`<h3>${t("copies")}</h3><ul class="duties">${journal.copies.holders.map(
      (holder) => html`<li class=${holder.problem ? "bad" : holder.counts ? "" : "busy"}><i class="dot"></i><div><strong>${holder.node}</strong>
        <p>${[holder.state, holder.behind > 0 && t("behind", holder.behind), holder.problem].filter(Boolean).join("; ")}</p></div></li>`,
    )}</ul>`}
  </section>`;
}
