// What can be done with files and folders.
import { html, Signal, useEffect, useState } from "./html.js";
import { bin, Failure, getJson, join, makeFolder, me, remove, restore, transfer, urlOf } from "./api.js";
import { Ask, Confirm, Modal, open, say, sayFailure, wordsOf } from "./dialogs.js";
import { formatMoment, formatNumber, formatSize } from "./format.js";
import { Icon, KindIcon } from "./icons.js";
import { t } from "./texts.js";
import { Row } from "./listing.js";

/** What was cut or copied, to be pasted elsewhere: {method, rows}, or null. */
export const clipboard = new Signal(null);

const AT_ONCE = 4;

/** Do something with each row, a few at a time; return those it failed for. */
async function each(rows, work) {
  const waiting = [...rows];
  const failed = [];
  const run = async () => {
    while (waiting.length) {
      const row = waiting.shift();
      try {
        await work(row);
      } catch (problem) {
        failed.push([row, problem]);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, rows.length) }, run));
  return failed;
}

function report(failed, what) {
  if (failed.length === 1) sayFailure(failed[0][0].name, failed[0][1]);
  else if (failed.length) say(`${t(what, failed.length)}: ${wordsOf(failed[0][1])}`, { bad: true });
}

/** The rows that somebody else has deleted or moved meanwhile. */
const missing = (failed) => failed.filter(([, problem]) => problem.status === 404).map(([row]) => row);

const wrongName = (name) => (name.includes("/") ? t("noSlash") : name === "." || name === ".." ? t("noDots") : "");

export function askNewFolder(rows, path) {
  return open(Ask, {
    title: t("newFolder"),
    label: t("name"),
    action: t("create"),
    check: wrongName,
    run: async (name) => {
      await makeFolder(join(path, name));
      rows.put(new Row(path, [name, -1, Date.now(), ""]));
      rows.arrange();
      return join(path, name);
    },
  });
}

export function askRename(rows, row) {
  return open(Ask, {
    title: t("renameTitle"),
    label: t("name"),
    value: row.name,
    action: t("rename"),
    check: wrongName,
    run: async (name) => {
      if (name === row.name) return row.path;
      await transfer("MOVE", row, join(row.folder, name)).catch((problem) => {
        throw problem.status === 412 ? taken(problem, name) : problem;
      });
      rows.rows = rows.rows.filter((other) => other.path !== row.path);
      rows.put(new Row(row.folder, [name, row.size, row.ms, row.type]));
      rows.arrange();
      return join(row.folder, name);
    },
  });
}

/** Delete rows: at once, where that can be undone; else after a question. */
export function askRemove(rows, chosen) {
  return me.value.bin ? removeUndoably(rows, chosen) : askRemoveForGood(rows, chosen);
}

async function removeUndoably(rows, chosen) {
  const things = [];
  const failed = await each(chosen, async (row) => things.push([row, await bin(row)]));
  const gone = things.map(([row]) => row);
  rows.drop([...gone, ...missing(failed)].map((row) => row.path));
  report(failed, "notDeleted");
  if (!gone.length) return undefined;
  undoing = () => undo(rows, things);
  say(t("deleted", gone.length), { action: { label: t("undo"), run: undoLast } });
  return true;
}

let undoing = null; // what takes the last deletion back

/** Take the last deletion back. */
export function undoLast() {
  const run = undoing;
  undoing = null;
  if (run) run();
}

async function undo(rows, things) {
  const failed = await each(things.map(([row, thing]) => Object.assign(row, { thing })), (row) => restore(row.thing));
  const kept = new Set(failed.map(([row]) => row));
  const back = things.map(([row]) => row).filter((row) => !kept.has(row));
  for (const row of back) if (row.folder === rows.path || rows.text) rows.put(row);
  rows.arrange();
  report(failed, "notRestored");
  if (back.length) say(t("restored", back.length));
}

function askRemoveForGood(rows, chosen) {
  const title = chosen.length === 1 ? t("deleteOne", chosen[0].name) : t("deleteMany", chosen.length);
  return open(Confirm, {
    title,
    text: chosen.some((row) => row.isFolder) ? t("deleteFolderText") : t("deleteText"),
    action: t("delete"),
    danger: true,
    run: async () => {
      const failed = await each(chosen, remove);
      const kept = new Set(failed.map(([row]) => row));
      const gone = chosen.filter((row) => !kept.has(row));
      rows.drop([...gone, ...missing(failed)].map((row) => row.path));
      if (chosen.length === 1 && failed.length) throw failed[0][1];
      report(failed, "notDeleted");
      if (gone.length) say(t("deleted", gone.length));
    },
  });
}

/** A name beside those that are taken: "a (2).txt". */
export function freeName(name, isTaken) {
  const dot = name.lastIndexOf(".");
  const [stem, end] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  for (let count = 2; ; count += 1) {
    const tried = `${stem} (${count})${end}`;
    if (!isTaken(tried)) return tried;
  }
}

/** Move or copy rows into a folder.  Where a name is taken, a copy gets another one, and a move is refused. */
export async function put(rows, method, all, folder) {
  const chosen = all.filter((row) => method === "COPY" || row.folder !== folder); // the others are there
  const done = [];
  const failed = await each(chosen, async (row) => {
    let name = row.name;
    if (row.isFolder && `${folder}/`.startsWith(`${row.path}/`)) throw new Failure(409, t("intoItself"));
    for (let tries = 1; ; tries += 1) {
      try {
        if (method === "COPY" && folder === row.folder && tries === 1) name = freeName(row.name, () => false);
        await transfer(method, row, join(folder, name));
        break;
      } catch (problem) {
        if (problem.status !== 412 || method !== "COPY" || tries > 50) throw problem.status === 412 ? taken(problem, name) : problem;
        let count = 0;
        name = freeName(row.name, () => (count += 1) < tries);
      }
    }
    done.push([row, name]);
  });
  if (method === "MOVE") rows.rows = rows.rows.filter((row) => !done.some(([moved]) => moved === row));
  if (folder === rows.path && rows.modified !== undefined) {
    for (const [row, name] of done) rows.put(new Row(folder, [name, row.size, row.ms, row.type]));
  }
  rows.arrange();
  report(failed, method === "MOVE" ? "notMoved" : "notCopied");
  if (done.length) say(t(method === "MOVE" ? "moved" : "copied", done.length));
}

function taken(problem, name) {
  problem.message = t("nameTaken", name);
  return problem;
}

/** Ask for a folder, and move or copy rows there. */
export async function askPut(rows, method, chosen) {
  const title = t(method === "MOVE" ? "moveTitle" : "copyTitle", chosen.length, chosen[0].name);
  const folder = await open(PickFolder, {
    title,
    from: chosen[0].folder,
    action: t(method === "MOVE" ? "moveHere" : "copyHere"),
    refused: new Set(chosen.filter((row) => row.isFolder).map((row) => row.path)),
  });
  if (folder === undefined) return undefined;
  await put(rows, method, chosen, folder);
  return true;
}

function PickFolder({ title, from, action, refused, close }) {
  const [path, setPath] = useState(from);
  const [folders, setFolders] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const ending = new AbortController();
    setFolders(null);
    setProblem("");
    getJson("list", { path, limit: 2000 }, ending.signal).then(
      (page) => setFolders(page.members.filter((each) => each[1] < 0).map((each) => new Row(path, each)).filter((row) => !refused.has(row.path))),
      (failure) => failure.name !== "AbortError" && (setFolders([]), setProblem(wordsOf(failure))),
    );
    return () => ending.abort();
  }, [path]);
  const crumbs = path === "/" ? [] : path.slice(1).split("/");
  return html`<${Modal} title=${title} close=${close}>
    <nav class="picker-path" aria-label=${t("path")}>
      <button class="quiet" onClick=${() => setPath("/")}>${t("files")}</button>
      ${crumbs.map((name, at) => html`<span class="sep" aria-hidden="true">/</span>
        <button class="quiet" onClick=${() => setPath(`/${crumbs.slice(0, at + 1).join("/")}`)}>${name}</button>`)}
    </nav>
    <div class="picker" data-first tabindex="-1">
      ${folders === null ? html`<p class="hint">${t("loading")}</p>` : folders.length ? folders.map(
        (row) => html`<button key=${row.path} class="quiet" onClick=${() => setPath(row.path)}><${KindIcon} kind="folder" />
          <span>${row.name}</span><${Icon} name="right" size=${16} /></button>`,
      ) : html`<p class="hint">${problem || t("noFolders")}</p>`}
    </div>
    <footer><button type="button" onClick=${() => close()}>${t("cancel")}</button>
      <button class="primary" disabled=${!!problem} onClick=${() => close(path)}>${action}</button></footer>
  </${Modal}>`;
}

export const askProperties = (row) => open(Properties, { row });

function Properties({ row, close }) {
  const [known, setKnown] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    getJson("details", { path: row.path }).then(setKnown, (failure) => setProblem(wordsOf(failure)));
  }, []);
  return html`<${Modal} title=${row.name} close=${close} wide>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${!known && !problem && html`<p class="hint">${t("loading")}</p>`}
    ${known && html`<dl class="facts">${factsOf(row, known).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`}
  </${Modal}>`;
}

function factsOf(row, known) {
  const facts = [[t("path"), known.path]];
  if (known.type === "file") {
    facts.push([t("size"), `${formatSize(known.size)} (${t("bytes", formatNumber(known.size))})`]);
    facts.push([t("type"), known.content_type || t("unknown")]);
  }
  facts.push([t("modified"), formatMoment(known.modified_ms)]);
  if (known.created_ms) facts.push([t("created"), formatMoment(known.created_ms)]);
  if (known.type === "file") {
    facts.push([t("storedAs"), known.segments ? t("segments", known.segments) : t("layoutText", ...known.layout.split("+").map(Number))]);
    if (known.missing_parts) facts.push([t("missingParts"), known.missing_parts]);
    facts.push(["ETag", known.etag]);
  }
  for (const lock of known.locks) {
    facts.push([t("locked"), t("lockedBy", lock.user || lock.owner.replace(/<[^>]*>/g, "") || t("somebody"), formatMoment(lock.expires_ms))]);
  }
  for (const [name, value] of Object.entries(known.properties)) {
    const text = new DOMParser().parseFromString(value, "application/xml").documentElement?.textContent ?? value;
    facts.push([name.replace(/^\{.*\}/, ""), text]);
  }
  return facts;
}

const LONGEST = 40000; // characters of an address with names

/** Have the browser save files: one as it is, several and folders as one archive, which is made while it is sent.
 *
 *  `path` is a folder that all of them lie in, however deep.
 */
export function download(chosen, path) {
  const [first] = chosen;
  if (chosen.length === 1) return save(first.isFolder ? `${urlOf(first.path, true)}?zip` : urlOf(first.path), first.isFolder ? "" : first.name);
  const inside = join(path, "").length;
  const url = `${urlOf(path, true)}?zip&${new URLSearchParams(chosen.map((row) => ["name", row.path.slice(inside)]))}`;
  if (url.length > LONGEST) return say(t("zipTooMany"), { bad: true });
  return save(url, "");
}

function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

export async function copyLink(row) {
  const url = location.origin + urlOf(row.path, row.isFolder);
  try {
    await navigator.clipboard.writeText(url);
    say(t("linkCopied"));
  } catch {
    await open(ShowLink, { url });
  }
}

const ShowLink = ({ url, close }) => html`<${Modal} title=${t("copyLink")} close=${close}>
  <label class="field"><span>${t("address")}</span><input data-first readonly value=${url} /></label>
</${Modal}>`;

