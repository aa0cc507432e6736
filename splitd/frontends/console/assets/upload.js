// The queue of uploads.  It belongs to the page, not to a view: it goes on while one looks at other folders.
import { Signal } from "./html.js";
import { call, failureOf, Failure, getJson, join, loginAsked, makeFolder, ownHeaders, renewed, split, urlOf } from "./api.js";
import { say, sayFailure, wordsOf } from "./dialogs.js";
import { freeName } from "./actions.js";
import * as unfinished from "./unfinished.js";
import { formatSize } from "./format.js";
import { Row } from "./listing.js";
import { t } from "./texts.js";

const AT_ONCE = 4;
const RESUMABLE = 8 << 20; // from here on files are sent so that they can be continued
const LARGE = 1 << 20; // from here on it is worth a request to ask first whether the name is taken
const SPEED_MS = 4000; // over how long the speed is measured

export const uploads = new Signal([]);

/** The last file that has come to be, for those who show its folder. */
export const finished = new Signal(null);

const folders = new Map(); // promises of folders that are made
let running = 0;
let next = 0;
let answerForAll = null; // what shall be done with names that are taken, if that was said for all

/** One file on its way. */
export class Upload {
  constructor(file, path) {
    this.id = next += 1;
    this.file = file;
    this.path = path;
    this.size = file.size;
    this.sent = 0;
    this.state = "waiting"; // running, lost, paused, asks, done, failed, stopped, left
    this.url = ""; // of an upload that can be continued
    this.message = "";
    this.etag = null; // of the version that is to be replaced
    this.overwrite = false;
    this.request = null;
    this.attempt = 0;
    this.wantsLogin = false; // it failed for want of a login
  }

  get isResumable() {
    return this.size >= RESUMABLE;
  }

  get name() {
    return split(this.path)[1];
  }

  get isOver() {
    return ["done", "failed", "stopped"].includes(this.state);
  }
}

let drawing = 0;
const draw = () => {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    uploads.touch();
  });
};

// Speed: bytes sent within the last seconds, of all uploads together.

const sentAt = [];
let sentInAll = 0;

function count(bytes) {
  sentInAll += bytes;
  const now = performance.now();
  sentAt.push([now, sentInAll]);
  while (sentAt.length > 2 && now - sentAt[0][0] > SPEED_MS) sentAt.shift();
}

/** Bytes a second. */
export function speed() {
  if (sentAt.length < 2) return 0;
  const [[from, before], [to, after]] = [sentAt[0], sentAt[sentAt.length - 1]];
  return performance.now() - to > SPEED_MS ? 0 : ((after - before) * 1000) / Math.max(200, to - from);
}

/** The path of a file of this machine in a folder: letters with accents become one character each, as people type them. */
export const within = (folder, name) => join(folder, name.normalize("NFC"));

/** Let people choose files, or a folder. */
export function choose(path, isFolder) {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.webkitdirectory = isFolder;
  input.hidden = true;
  input.dataset.chooser = isFolder ? "folder" : "files";
  input.addEventListener("change", () => {
    add([...input.files].map((file) => [file, within(path, file.webkitRelativePath || file.name)]));
    input.remove();
  });
  input.addEventListener("cancel", () => input.remove());
  document.body.append(input);
  input.click();
}

/** Take what was dropped: files, and folders with all that is in them. */
export async function dropped(transfer, path) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
  if (!entries.length || entries.some((entry) => !entry)) {
    add([...transfer.files].map((file) => [file, within(path, file.name)]));
    return;
  }
  const found = [];
  for (const entry of entries) await walk(entry, path, found).catch((problem) => sayFailure(entry.name, problem));
  add(found);
}

async function walk(entry, folder, found) {
  const path = within(folder, entry.name);
  if (entry.isFile) {
    found.push([await new Promise((done, failed) => entry.file(done, failed)), path]);
    return;
  }
  const reader = entry.createReader();
  let isEmpty = true;
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    isEmpty = false;
    for (const each of some) await walk(each, path, found);
  }
  if (isEmpty) await ensureFolder(path);
}

/** Put files in the queue, if there is room for them. */
export async function add(files) {
  if (!files.length) return;
  const made = files.map(([file, path]) => new Upload(file, path));
  const wanted = made.reduce((sum, upload) => sum + upload.size, 0);
  const room = await getJson("room", { path: (await nearest(made[0].path)) || "/" }).catch(() => null);
  if (room && wanted > room.available) {
    say(t("noRoom", formatSize(wanted), formatSize(room.available)), { bad: true });
    return;
  }
  uploads.set([...uploads.value, ...made]);
  pump();
}

const nearest = async (path) => {
  for (let folder = split(path)[0]; folder !== "/"; folder = split(folder)[0]) {
    if (await call("HEAD", urlOf(folder, true)).then(() => true, () => false)) return folder;
  }
  return "/";
};

function pump() {
  while (running < AT_ONCE) {
    const upload = uploads.value.find((each) => each.state === "waiting");
    if (!upload) break;
    running += 1;
    upload.state = "running";
    run(upload).finally(() => {
      running -= 1;
      draw();
      pump();
    });
  }
  draw();
}

/** Make a folder and those above it, once, however many files wait for it. */
function ensureFolder(path) {
  if (path === "/") return Promise.resolve();
  if (!folders.has(path)) {
    const made = (async () => {
      try {
        await makeFolder(path);
        const [folder, name] = split(path);
        finished.set(new Row(folder, [name, -1, Date.now(), ""]));
      } catch (problem) {
        if (problem.status === 405) return; // it is there
        if (problem.status !== 409) throw problem;
        await ensureFolder(split(path)[0]);
        await makeFolder(path).catch((again) => {
          if (again.status !== 405) throw again;
        });
      }
    })();
    folders.set(path, made);
    // It is looked for again by those who come later: it may be deleted meanwhile.
    made.then(() => setTimeout(() => folders.delete(path), 5000), () => folders.delete(path));
  }
  return folders.get(path);
}

async function run(upload) {
  const attempt = (upload.attempt += 1);
  // It may be stopped, or paused and resumed, while this waits for an answer.
  const goesOn = () => upload.attempt === attempt && !["stopped", "paused"].includes(upload.state);
  try {
    if (!(await mayBegin(upload, goesOn)) || !goesOn()) return;
    try {
      await send(upload, goesOn);
    } catch (problem) {
      if (problem.status !== 409) throw problem;
      await ensureFolder(split(upload.path)[0]);
      if (!goesOn()) return;
      await send(upload, goesOn);
    }
    upload.state = "done";
    upload.sent = upload.size;
    unfinished.forget(upload);
    const [folder, name] = split(upload.path);
    finished.set(new Row(folder, [name, upload.size, Date.now(), upload.file.type]));
  } catch (problem) {
    if (problem.status === 412) return ask(upload, goesOn);
    const again = problem.status === 403 && (await renewed());
    if (!goesOn()) return;
    if (again) upload.state = "waiting";
    else fail(upload, problem);
  }
}

function fail(upload, problem) {
  upload.state = "failed";
  upload.message = wordsOf(problem);
  upload.wantsLogin = problem.status === 401 || (problem.status === 403 && loginAsked.value !== null);
}

// Those that a session's end has stopped go on after the next login.
loginAsked.watch((why) => {
  if (why === null) for (const upload of uploads.value) if (upload.state === "failed" && upload.wantsLogin) retry(upload);
});

/** Ask before the first byte of a large file whether its name is free. */
async function mayBegin(upload, goesOn) {
  if (upload.size < LARGE || upload.overwrite || upload.url) return true;
  try {
    await call("HEAD", urlOf(upload.path));
  } catch (problem) {
    if (problem.status === 404) return true;
    throw problem;
  }
  if (goesOn()) await ask(upload, goesOn);
  return false;
}

async function ask(upload, goesOn) {
  const head = await call("HEAD", urlOf(upload.path)).catch(() => null);
  if (!goesOn()) return;
  upload.etag = head && head.headers.get("ETag");
  upload.sent = 0;
  if (head && !upload.etag) fail(upload, new Failure(405, t("folderHasName")));
  else if (!head) upload.state = "waiting"; // it went meanwhile
  else if (answerForAll && !upload.overwrite) answer(upload, answerForAll);
  else {
    upload.overwrite = false;
    upload.state = "asks";
  }
}

/** Say what shall be done with a name that is taken: "replace", "both" or "skip"; for all others too. */
export function answer(upload, what, all = false) {
  if (all) {
    answerForAll = what;
    for (const each of uploads.value) if (each.state === "asks") answer(each, what);
    return;
  }
  if (what === "skip") {
    upload.state = "stopped";
    upload.message = t("skipped");
  } else {
    if (what === "replace") upload.overwrite = true;
    else {
      endUnfinished(upload); // it has the other name
      upload.path = nextName(upload.path);
    }
    upload.state = "waiting";
  }
  pump();
}

function nextName(path) {
  const [folder, name] = split(path);
  const match = /^(.*) \((\d+)\)(\.[^.]*)?$/.exec(name);
  if (!match) return join(folder, freeName(name, () => false));
  return join(folder, `${match[1]} (${Number(match[2]) + 1})${match[3] || ""}`);
}

/** The headers of a request that stores a file. */
function conditions(upload) {
  // The second one holds for every file: an upload that was begun for a name that is free would remember that.
  if (upload.overwrite) return { ...(upload.etag && { "If-Match": upload.etag }), "If-None-Match": '"none"' };
  return { "If-None-Match": "*" };
}

/** Send a file; the promise fails with the words of the server. */
async function send(upload, goesOn) {
  if (!upload.isResumable) return put(upload);
  const { resume } = await import("./resuming.js").catch(() => {
    throw new Failure(-1, t("loadAgain"));
  });
  if (!goesOn()) throw new Failure(-1, "");
  return resume(upload, conditions(upload), {
    progress: (sent) => {
      count(Math.max(0, sent - upload.sent));
      upload.sent = sent;
      if (upload.state === "lost") upload.state = "running";
      draw();
    },
    lost: () => {
      if (upload.state === "running") upload.state = "lost";
      draw();
    },
    begun: () => unfinished.keep(upload),
  });
}

function put(upload) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    upload.request = request;
    upload.sent = 0;
    request.open("PUT", urlOf(upload.path));
    for (const [name, value] of Object.entries(ownHeaders())) request.setRequestHeader(name, value);
    for (const [name, value] of Object.entries(conditions(upload))) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      count(event.loaded - upload.sent);
      upload.sent = event.loaded;
      draw();
    });
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) done();
      else failed(failureOf(request.status, request.responseText, request.getResponseHeader("Content-Type")));
    });
    request.addEventListener("error", () => failed(new Failure(0, "")));
    request.addEventListener("abort", () => failed(new Failure(-1, "")));
    request.send(upload.file);
  });
}

export function stop(upload) {
  upload.state = "stopped";
  upload.message = t("cancelled");
  if (upload.request) upload.request.abort();
  endUnfinished(upload);
  draw();
}

/** Keep what was sent, and send no more until `retry`. */
export function pause(upload) {
  upload.state = "paused";
  if (upload.request) upload.request.abort();
  draw();
}

function endUnfinished(upload) {
  if (!upload.url) return;
  // It would end by itself after some days, if this does not get there.
  call("DELETE", upload.url, { headers: { "Tus-Resumable": "1.0.0" } }).catch(() => {});
  unfinished.forget(upload);
  upload.url = "";
}

/** Go on with an upload that was left by an earlier page, now that its file has been chosen again. */
export function goOn(upload, file) {
  if (file.size !== upload.size || file.lastModified !== upload.file.lastModified) {
    upload.message = t("otherFile", file.name);
    draw();
    return;
  }
  upload.file = file;
  retry(upload);
}

for (const left of unfinished.all()) {
  const upload = new Upload({ size: left.size, lastModified: left.modified, type: left.type }, left.path);
  Object.assign(upload, { url: left.url, sent: left.sent, state: "left", overwrite: left.overwrite, etag: left.etag });
  uploads.value.push(upload);
}

export function retry(upload) {
  upload.state = "waiting";
  upload.message = "";
  if (!upload.url) upload.sent = 0;
  pump();
}

export function clear() {
  uploads.set(uploads.value.filter((upload) => !upload.isOver));
  answerForAll = null;
}

export function stopAll() {
  for (const upload of uploads.value) if (!upload.isOver) stop(upload);
}

addEventListener("beforeunload", (event) => {
  const loses = (upload) => !upload.isOver && upload.state !== "left" && !upload.url;
  if (uploads.value.some(loses)) event.preventDefault();
});
