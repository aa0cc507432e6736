// The files: one folder, or what a search found.
import { html, useEffect, useLayoutEffect, useRef, useState, useSignal } from "./html.js";
import { me, split, urlOf } from "./api.js";
import * as actions from "./actions.js";
import { menu, openMenu, say, wordsOf } from "./dialogs.js";
import { formatNumber, formatSize } from "./format.js";
import { Icon } from "./icons.js";
import { List } from "./list.js";
import { Path } from "./path.js";
import { go, leave, openFolder } from "./router.js";
import { keep, kept, useRows } from "./rows.js";
import { t } from "./texts.js";
import { add, choose, dropped, within } from "./upload.js";
import { Preview } from "./preview.js";

export function Files({ path, query }) {
  const sought = query.get("search") || "";
  const rows = useRows(path, sought);
  const [selected, setSelected] = useState(new Set());
  const [cursor, setCursor] = useState(-1);
  const [anchor, setAnchor] = useState(-1);
  const [isGrid, setGrid] = useState(kept("splitd.view", "list") === "grid");
  const [over, setOver] = useState(0);
  const filterRef = useRef();
  const clip = useSignal(actions.clipboard);
  const shown = rows.shown;
  const mayWrite = rows.rights.includes("write");

  // Above a folder that one leaves upwards, it is the one that keys act on.
  const before = useRef(path);
  const left = useRef(null);
  useLayoutEffect(() => {
    const at = left.current === null ? -1 : shown.findIndex((row) => row.path === left.current);
    if (at >= 0) setCursor((now) => (now < 0 ? at : now));
    if (at >= 0 || rows.complete) left.current = null;
  });
  // At once: a key that is pressed next acts on what is in sight.
  useLayoutEffect(() => {
    left.current = split(before.current)[0] === path && before.current !== path ? before.current : null;
    before.current = path;
    setSelected((now) => (now.size ? new Set() : now));
    setCursor(-1);
    if (filterRef.current) filterRef.current.value = "";
    document.title = `${sought ? t("searchFor", sought) : path === "/" ? t("files") : path.slice(path.lastIndexOf("/") + 1)} – splitd`;
  }, [rows]);

  const chosen = () => shown.filter((row) => selected.has(row.path));
  const acted = () => {
    const all = chosen();
    return all.length ? all : cursor >= 0 && shown[cursor] ? [shown[cursor]] : [];
  };
  const select = (paths) => setSelected(new Set(paths));
  const focusList = () => document.querySelector("[data-list]")?.focus({ preventScroll: true });
  const settle = async (path) => {
    const made = await path;
    if (typeof made === "string") {
      select([made]);
      setCursor(rows.shown.findIndex((row) => row.path === made));
    } else if (made) {
      select([]);
      setCursor((at) => Math.min(at, rows.shown.length - 1));
    }
    focusList();
  };
  const extend = (to) => {
    const [low, high] = [Math.min(anchor, to), Math.max(anchor, to)];
    select(shown.slice(Math.max(0, low), high + 1).map((row) => row.path));
  };

  const openRow = (row) => {
    if (row.isFolder) openFolder(row.path);
    else go(`${location.pathname}?${new URLSearchParams({ ...(sought && { search: sought }), show: row.path })}`);
  };
  const act = {
    open: () => acted().length && openRow(acted()[0]),
    rename: () => acted().length === 1 && settle(actions.askRename(rows, acted()[0])),
    remove: () => acted().length && settle(actions.askRemove(rows, acted())),
    move: () => acted().length && settle(actions.askPut(rows, "MOVE", acted())),
    copy: () => acted().length && settle(actions.askPut(rows, "COPY", acted())),
    make: () => settle(actions.askNewFolder(rows, path)),
    properties: () => acted().length && actions.askProperties(acted()[0]),
    link: () => acted().length && actions.copyLink(acted()[0]),
    download: () => actions.download(acted(), path),
    clip: (method) => acted().length && actions.clipboard.set({ method, rows: acted() }),
    paste: async () => {
      if (sought) return;
      actions.clipboard.set(clip.method === "MOVE" ? null : clip);
      await actions.put(rows, clip.method, clip.rows, path);
    },
  };

  const on = {
    open: (event, row) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      event.stopPropagation();
      openRow(row);
    },
    click: (event, row, index) => {
      if (event.target.closest("a, button")) return;
      setCursor(index);
      if (event.shiftKey && anchor >= 0) return extend(index);
      setAnchor(index);
      if (event.ctrlKey || event.metaKey) return on.pick(event, row, index);
      if (event.pointerType === "touch" || matchMedia("(pointer: coarse)").matches) return openRow(row);
      select([row.path]);
    },
    doubleClick: (event, row) => event.target.closest("a, button") || openRow(row),
    pick: (event, row, index) => {
      const next = new Set(selected);
      if (!next.delete(row.path)) next.add(row.path);
      setSelected(next);
      setCursor(index);
      setAnchor(index);
      focusList();
    },
    context: (event, row, index) => {
      event.preventDefault();
      const isOne = !selected.has(row.path) || selected.size === 1;
      if (isOne) select([row.path]);
      setCursor(index);
      const { right, bottom } = event.currentTarget.getBoundingClientRect();
      const isButton = event.type === "click";
      contextMenu(isButton ? right - 190 : event.clientX, isButton ? bottom : event.clientY, isOne ? [row] : chosen());
    },
    key: (event, columns, page) => listKey(event, columns, page),
  };

  function contextMenu(x, y, about) {
    const one = about.length === 1 ? about[0] : null;
    openMenu(x, y, [
      one && { icon: one.isFolder ? "files" : "right", label: t("open"), keys: "Enter", run: () => openRow(one) },
      { icon: "download", label: t("download"), run: () => actions.download(about, path) },
      one && mayShare() && { icon: "shares", label: t("share"), run: () => share(one) },
      one && { icon: "link", label: t("copyLink"), run: () => actions.copyLink(one) },
      ...(mayWrite
        ? [
            null,
            one && { icon: "rename", label: t("rename"), keys: "F2", run: () => settle(actions.askRename(rows, one)) },
            { icon: "move", label: t("moveTo"), run: () => settle(actions.askPut(rows, "MOVE", about)) },
            { icon: "copy", label: t("copyTo"), run: () => settle(actions.askPut(rows, "COPY", about)) },
            { icon: "bin", label: t("delete"), keys: "Del", danger: true, run: () => settle(actions.askRemove(rows, about)) },
          ]
        : []),
      null,
      one && { icon: "info", label: t("properties"), run: () => actions.askProperties(one) },
    ].filter((item, at, all) => item || (item === null && at && all[at - 1] !== null)));
  }

  function clearFilter() {
    filterRef.current.value = "";
    rows.setFilter("");
  }

  function menuAtCursor() {
    const row = shown[cursor];
    const shape = document.getElementById(`row-${cursor}`);
    if (!row || !shape) return;
    const { left: x, bottom } = shape.getBoundingClientRect();
    contextMenu(x + 40, bottom, selected.has(row.path) ? chosen() : [row]);
  }

  function listKey(event, columns, page) {
    const { key } = event;
    if (event.target.closest(".head, .pick, .more") && (key === "Enter" || key === " ")) return;
    const command = event.ctrlKey || event.metaKey;
    const last = shown.length - 1;
    const moves = { ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (isGrid) Object.assign(moves, { ArrowRight: 1, ArrowLeft: -1 });
    if (key in moves && !event.altKey) {
      const to = Math.max(0, Math.min(last, cursor < 0 ? (moves[key] > 0 && key === "End" ? last : 0) : cursor + moves[key]));
      if (last < 0) return;
      setCursor(to);
      if (event.shiftKey) {
        if (anchor < 0) setAnchor(Math.max(cursor, 0));
        extend(to);
      } else if (!command) {
        setAnchor(to);
        select([shown[to].path]);
      }
    } else if (key === "Enter" && event.altKey) act.properties();
    else if (key === "Enter") act.open();
    else if (key === " ") cursor >= 0 && on.pick(event, shown[cursor], cursor);
    else if (key === "F2" && mayWrite) act.rename();
    else if (key === "Delete" && mayWrite) act.remove();
    else if (key === "Escape") selected.size ? select([]) : clearFilter();
    else if (key === "ContextMenu" || (key === "F10" && event.shiftKey)) menuAtCursor();
    else if (key === "Backspace" || (key === "ArrowUp" && event.altKey)) path !== "/" && openFolder(path.slice(0, path.lastIndexOf("/")) || "/");
    else if (command && key.toLowerCase() === "a") select(shown.map((row) => row.path));
    else if (command && key.toLowerCase() === "c") act.clip("COPY");
    else if (command && key.toLowerCase() === "x" && mayWrite) act.clip("MOVE");
    else if (command && key.toLowerCase() === "v" && mayWrite && clip) act.paste();
    else if (command && key.toLowerCase() === "z" && !event.shiftKey) actions.undoLast();
    else if (key === "/" && !command) document.querySelector("[data-type-path]")?.click();
    else if (key.length === 1 && !command && !event.altKey) {
      filterRef.current.focus();
      return; // the field takes the character
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Keys work right after a page has been opened, without a click into the list.
  useEffect(() => {
    const early = (event) => {
      const free = document.activeElement === document.body || document.activeElement === null;
      if (free && !menu.value && !document.querySelector("dialog[open]")) {
        focusList();
        listKey(event, 1, 10);
      }
    };
    // Files that were copied elsewhere, or a picture of the screen.
    const pasted = (event) => {
      const files = [...event.clipboardData.files];
      if (!files.length || !mayWrite || sought || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      add(files.map((file) => [file, within(path, file.name)]));
    };
    addEventListener("keydown", early);
    addEventListener("paste", pasted);
    return () => {
      removeEventListener("keydown", early);
      removeEventListener("paste", pasted);
    };
  });

  const mayDrop = mayWrite && !sought;
  const drag = {
    onDragEnter: (event) => hasFiles(event) && (event.preventDefault(), setOver((depth) => depth + 1)),
    onDragLeave: () => setOver((depth) => Math.max(0, depth - 1)),
    onDrop: (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(0);
      if (mayDrop) dropped(event.dataTransfer, path);
    },
  };
  const picked = chosen();
  const size = picked.reduce((sum, row) => sum + Math.max(0, row.size), 0);
  const changeView = () => {
    keep("splitd.view", isGrid ? "list" : "grid");
    setGrid(!isGrid);
  };
  const preview = query.get("show");

  return html`<section class=${over && mayDrop ? "files dropping" : "files"} ...${drag}>
    <h1 class="unseen">${sought ? t("searchFor", sought) : path === "/" ? t("files") : path}</h1>
    <div class="bar">
      ${sought
        ? html`<div class="path"><span class="sought">${t("searchIn", sought, path)}</span>
            <button class="quiet" onClick=${() => openFolder(path)}>${t("endSearch")}</button></div>`
        : html`<${Path} path=${path} />`}
      <label class="filter"><span class="unseen">${t("filter")}</span><${Icon} name="search" size=${16} />
        <input ref=${filterRef} type="search" placeholder=${t("filter")} autocomplete="off" spellcheck="false"
          onInput=${(event) => (rows.setFilter(event.target.value), setCursor(-1))}
          onKeyDown=${(event) => {
            if (event.key === "Enter" && event.target.value && (event.shiftKey || !shown.length)) {
              go(`${urlOf(path, true)}?${new URLSearchParams({ search: event.target.value })}`);
            } else if (event.key === "Enter" || event.key === "ArrowDown") {
              focusList();
              if (shown.length) (setCursor(0), setAnchor(0), select([shown[0].path]));
              event.preventDefault();
            } else if (event.key === "Escape") {
              clearFilter();
              focusList();
            }
            event.stopPropagation();
          }} />
      </label>
      <div class="tools">
        <button class="quiet icon-only" aria-label=${isGrid ? t("asList") : t("asGrid")} title=${isGrid ? t("asList") : t("asGrid")} onClick=${changeView}>
          <${Icon} name=${isGrid ? "list" : "grid"} /></button>
        ${mayWrite && !sought && html`<button class="quiet with-text" aria-label=${t("newFolder")} onClick=${act.make}><${Icon} name="newFolder" /><span>${t("newFolder")}</span></button>
          <button class="primary with-text" aria-label=${t("upload")} onClick=${(event) => uploadMenu(event, path)}><${Icon} name="upload" /><span>${t("upload")}</span></button>`}
      </div>
    </div>
    ${picked.length > 0 && html`<div class="chosen" role="toolbar" aria-label=${t("chosenActions")}>
      <button class="quiet icon-only" aria-label=${t("clearSelection")} onClick=${() => select([])}><${Icon} name="close" /></button>
      <strong>${t("chosen", picked.length)}</strong>${size > 0 && html`<span class="hint">${formatSize(size)}</span>`}
      <span class="spring"></span>
      ${[
        ["download", "download", act.download],
        picked.length === 1 && mayShare() && ["shares", "share", () => share(picked[0])],
        mayWrite && picked.length === 1 && ["rename", "rename", act.rename],
        mayWrite && ["move", "moveTo", act.move],
        mayWrite && ["copy", "copyTo", act.copy],
        picked.length === 1 && ["info", "properties", act.properties],
        mayWrite && ["bin", "delete", act.remove],
      ].filter(Boolean).map(([icon, text, run]) => html`<button class="quiet with-text" key=${text} aria-label=${t(text)} title=${t(text)} onClick=${run}>
        <${Icon} name=${icon} /><span>${t(text)}</span></button>`)}
    </div>`}
    ${clip && !sought && mayWrite && html`<div class="chosen clip"><span>${t(clip.method === "MOVE" ? "cutRows" : "copiedRows", clip.rows.length)}</span>
      <button class="quiet" onClick=${act.paste}>${t("pasteHere")}</button>
      <button class="quiet icon-only" aria-label=${t("cancel")} onClick=${() => actions.clipboard.set(null)}><${Icon} name="close" size=${16} /></button></div>`}
    ${rows.failure
      ? html`<${Problem} rows=${rows} path=${path} />`
      : html`<${List} rows=${shown} isGrid=${isGrid} sort=${rows.sort} selected=${selected} cursor=${cursor} on=${on} withFolder=${!!sought}
          total=${shown.length} label=${t("membersOf", path)}
          onSort=${(by) => (rows.setSort(by), keep("splitd.sort", JSON.stringify(rows.sort)))} />`}
    ${!rows.failure && !shown.length && html`<${Empty} rows=${rows} path=${path} sought=${sought} mayWrite=${mayWrite} />`}
    <${Foot} rows=${rows} />
    ${over > 0 && mayDrop && html`<div class="drop-hint" aria-hidden="true"><${Icon} name="upload" size=${32} />${t("dropHere", path === "/" ? t("files") : path)}</div>`}
    ${preview && html`<${Preview} key="preview" path=${preview} rows=${shown} close=${() => leave(location.pathname + (sought ? `?${new URLSearchParams({ search: sought })}` : ""))}
      show=${(row) => go(`${location.pathname}?${new URLSearchParams({ ...(sought && { search: sought }), show: row.path })}`, true)} />`}
  </section>`;
}

const mayShare = () => !me.value.users || !!me.value.name;

const share = (row) => import("./shares.js").then(({ askShare }) => askShare(row), () => say(t("loadAgain"), { bad: true }));

const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");

function uploadMenu(event, path) {
  const { right, bottom } = event.currentTarget.getBoundingClientRect();
  openMenu(right - 200, bottom + 4, [
    { icon: "upload", label: t("uploadFiles"), run: () => choose(path, false) },
    { icon: "files", label: t("uploadFolder"), run: () => choose(path, true) },
  ]);
}

function Foot({ rows }) {
  const folders = rows.shown.reduce((count, row) => count + row.isFolder, 0);
  const files = rows.shown.length - folders;
  const size = rows.shown.reduce((sum, row) => sum + Math.max(0, row.size), 0);
  const counts = [folders && t("folderCount", folders), files && t("fileCount", files), files && formatSize(size)].filter(Boolean);
  return html`<p class="foot" role="status">${counts.join(" · ")}
    ${!rows.complete && html`<span class="working">${t("loadingMore", formatNumber(rows.rows.length))}</span>`}
    ${rows.cut && html`<span class="warn">${t("listCut", formatNumber(rows.rows.length))}</span>`}</p>`;
}

function Empty({ rows, path, sought, mayWrite }) {
  if (!rows.complete) return html`<div class="empty"><p class="hint">${t("loading")}</p></div>`;
  if (rows.filter) {
    return html`<div class="empty"><p>${t("nothingMatches", rows.filter)}</p>
      <button onClick=${() => go(`${urlOf(path, true)}?${new URLSearchParams({ search: rows.filter })}`)}>${t("searchBelow")}</button></div>`;
  }
  if (sought) return html`<div class="empty"><p>${t("nothingFound")}</p></div>`;
  return html`<div class="empty"><div class="empty-mark"><${Icon} name="files" size=${40} /></div><p>${t("nothingHere")}</p>
    ${mayWrite && html`<p class="hint">${t("dropInvites")}</p><button class="primary" onClick=${() => choose(path, false)}>${t("uploadFiles")}</button>`}</div>`;
}

const Problem = ({ rows, path }) => html`<div class="empty" role="alert"><p>${rows.failure.status === 404 ? t("noFolder", path) : wordsOf(rows.failure)}</p>
  ${rows.failure.status === 404
    ? html`<button onClick=${() => openFolder(path.slice(0, path.lastIndexOf("/")) || "/")}>${t("toParent")}</button>`
    : html`<button onClick=${() => rows.load()}>${t("tryAgain")}</button>`}</div>`;


