// The bin: what was deleted, until it is restored or deleted for good.
import { html, useEffect, useRef, useState } from "./html.js";
import { api, call, getJson, restore, split } from "./api.js";
import { freeName } from "./actions.js";
import { Ask, Confirm, open, say, sayFailure, wordsOf } from "./dialogs.js";
import { formatNumber, formatSize, formatTime, kindOf } from "./format.js";
import { KindIcon, Icon } from "./icons.js";
import { t } from "./texts.js";

const DAY_MS = 24 * 3600 * 1000;

const daysLeft = (thing) => Math.max(Math.ceil((thing.ends_ms - Date.now()) / DAY_MS), 0);

const about = (thing) => [
  t("deletedAt", formatTime(thing.deleted_ms)),
  thing.user && t("deletedBy", thing.user),
  thing.type === "collection" && thing.files !== null && t("filesIn", thing.files, formatNumber(thing.files)),
  thing.bytes !== null && formatSize(thing.bytes),
  thing.ends_ms && t("daysLeft", daysLeft(thing)),
].filter(Boolean).join("\u00a0· ");

async function putBack(thing) {
  try {
    return await restore(thing);
  } catch (problem) {
    if (problem.status !== 409) throw problem;
    const [folder, name] = split(thing.path);
    return open(Ask, {
      title: t("restoreAs"),
      label: t("path"),
      value: `${folder === "/" ? "" : folder}/${freeName(name, () => false)}`,
      action: t("restore"),
      check: (path) => (path.startsWith("/") ? "" : t("slashFirst")),
      run: (path) => restore(thing, path),
    });
  }
}

export function Deleted() {
  const [things, setThings] = useState(null);
  const [next, setNext] = useState(null);
  const [problem, setProblem] = useState("");
  const list = useRef();
  const load = async (after) => {
    try {
      const page = await getJson("bin", after ? { after } : {});
      setThings((all) => [...((after && all) || []), ...page.things]);
      setNext(page.next);
    } catch (failure) {
      setProblem(wordsOf(failure));
    }
  };
  useEffect(() => {
    document.title = `${t("bin")} – splitd`;
    load();
  }, []);
  /** Take something off the list; the one after it gets the focus. */
  const drop = (thing) => {
    const buttons = [...list.current.querySelectorAll("li")].map((item) => item.querySelector("button"));
    const at = things.indexOf(thing);
    (buttons[at + 1] || buttons[at - 1] || document.getElementById("main")).focus();
    setThings((all) => all.filter((each) => each !== thing));
  };
  const bring = async (thing) => {
    try {
      const path = await putBack(thing);
      if (path === undefined) return;
      drop(thing);
      say(t("restoredTo", path));
    } catch (failure) {
      sayFailure(thing.path, failure);
    }
  };
  const purge = async (thing) => {
    const done = await open(Confirm, {
      title: t("deleteOne", split(thing.path)[1]),
      text: t("purgeText"),
      action: t("purge"),
      danger: true,
      run: () => call("DELETE", `${api}/bin?${new URLSearchParams({ id: thing.id })}`).then(() => true),
    });
    if (done) drop(thing);
  };
  const empty = async () => {
    await open(Confirm, {
      title: t("emptyBin"),
      text: t("purgeText"),
      action: t("emptyBin"),
      danger: true,
      run: async () => {
        for (let more = true; more; ) more = (await (await call("DELETE", `${api}/bin`)).json()).more;
      },
    });
    load();
  };
  return html`<div class="panel shares"><header class="section-head"><h1>${t("bin")}</h1><span class="spring"></span>
      ${things && things.some((thing) => thing.purge) && html`<button onClick=${empty}>${t("emptyBin")}</button>`}</header>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${!things && !problem && html`<p class="hint">${t("loading")}</p>`}
    ${things && !things.length && html`<p class="hint">${t("binIsEmpty")}</p>`}
    ${things && html`<ul class="share-list" ref=${list}>${things.map((thing) => html`<li key=${thing.id}>
      <${KindIcon} kind=${kindOf({ isFolder: thing.type === "collection", name: split(thing.path)[1], type: "" })} />
      <div><strong>${thing.path}</strong><p class="hint">${about(thing)}</p></div>
      <button onClick=${() => bring(thing)} aria-label=${t("actionOn", t("restore"), thing.path)}>${t("restore")}</button>
      ${thing.purge && html`<button class="quiet icon-only" onClick=${() => purge(thing)} aria-label=${t("actionOn", t("purge"), thing.path)} title=${t("purge")}>
        <${Icon} name="bin" size=${18} /></button>`}
    </li>`)}</ul>`}
    ${next && html`<button onClick=${() => load(next)}>${t("showMore")}</button>`}
  </div>`;
}
