// Requests to the server, and the words of its refusals.
import { Signal } from "./html.js";

export const start = JSON.parse(document.getElementById("start").textContent);
export const base = start.base;
export const api = `${base}/.splitd/api`;
export const me = new Signal(start.me);

/** Why somebody must log in; null while nobody must. */
export const loginAsked = new Signal(start.login ? start.message : null);

/** A request that the server refused, or that did not get there (status 0). */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const encode = (path) => path.split("/").map(encodeURIComponent).join("/");

/** The address of a path. */
export const urlOf = (path, isCollection) => base + (path === "/" ? "/" : encode(path) + (isCollection ? "/" : ""));

export const join = (folder, name) => (folder === "/" ? `/${name}` : `${folder}/${name}`);

export function split(path) {
  const at = path.lastIndexOf("/");
  return [path.slice(0, at) || "/", path.slice(at + 1)];
}

/** The headers by which a request of ours shows that it is one. */
export const ownHeaders = () => ({ "X-Splitd-Csrf": me.value.csrf || "none" });

/** The sentence in the body of a refusal: plain text, JSON, or WebDAV's XML. */
export function sentence(text, type) {
  if (/json/.test(type || "")) {
    try {
      return JSON.parse(text).error || "";
    } catch {
      return "";
    }
  }
  if (!/xml/.test(type || "")) return text.trim();
  const found = new DOMParser().parseFromString(text, "application/xml").getElementsByTagNameNS("*", "message")[0];
  return found ? found.textContent : "";
}

/** The failure that a status and a body stand for. */
export function failureOf(status, text, type) {
  const failure = new Failure(status, sentence(text, type) || `HTTP ${status}`);
  if (status === 401) loginAsked.set(failure.message);
  return failure;
}

/** Whether the same user has logged in again in another window; requests have the token of that session from now on.
 *
 *  If it was somebody else, a login is asked for: nothing that was asked here is done in another one's name.
 */
export async function renewed() {
  if (!me.value.session) return false;
  const now = await getJson("me").catch(() => me.value);
  if (now.csrf === me.value.csrf) return false;
  if (now.name !== me.value.name) {
    loginAsked.set("");
    return false;
  }
  me.set(now);
  return true;
}

/** Send a request; the answer is one of success. */
export async function call(method, url, { headers, body, signal, accept = "*/*", again = false } = {}) {
  let answer;
  try {
    answer = await fetch(url, {
      method,
      body,
      signal,
      headers: { Accept: accept, ...ownHeaders(), ...headers },
      credentials: "same-origin",
    });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Failure(0, "");
  }
  if (answer.ok) return answer;
  if (answer.status === 403 && !again && method !== "GET" && (await renewed())) {
    return call(method, url, { headers, body, signal, accept, again: true });
  }
  throw failureOf(answer.status, await answer.text().catch(() => ""), answer.headers.get("Content-Type"));
}

export const getJson = async (name, parameters = {}, signal) =>
  (await call("GET", `${api}/${name}?${new URLSearchParams(parameters)}`, { signal, accept: "application/json" })).json();

export const postJson = async (name, document) =>
  (
    await call("POST", `${api}/${name}`, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(document || {}),
      accept: "application/json",
    })
  ).json();

// Changes: WebDAV's, one step each, whatever the size of what they change.

export const makeFolder = (path) => call("MKCOL", urlOf(path, true));

export const remove = (row) => call("DELETE", urlOf(row.path, row.isFolder));

/** Delete something so that it can be restored; the answer says what it is in the bin. */
export const bin = (row) => postJson("bin", { path: row.path });

/** Put something back that was deleted; the answer is the path that it has then. */
export const restore = async (thing, to) => (await postJson("bin/restore", { id: thing.id, ...(to && { to }) })).path;

export const transfer = (method, row, to, overwrite = false) =>
  call(method, urlOf(row.path, row.isFolder), {
    headers: { Destination: location.origin + urlOf(to, row.isFolder), Overwrite: overwrite ? "T" : "F" },
  });
