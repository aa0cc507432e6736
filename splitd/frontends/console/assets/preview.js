// Shows a file without saving it.  Nothing of a file is ever part of this page: pictures, film and sound are only
// decoded, text is only text, and PDF and Markdown are in frames of their own.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { call, getJson, split, start, urlOf } from "./api.js";
import { download, askProperties } from "./actions.js";
import { dialog, wordsOf } from "./dialogs.js";
import { formatSize, kindOf } from "./format.js";
import { Icon } from "./icons.js";
import { Row } from "./listing.js";
import { go } from "./router.js";
import { t } from "./texts.js";

const TEXT = 512 * 1024; // bytes of a text that are shown

export function Preview({ path, rows, close, show }) {
  const at = rows.findIndex((row) => row.path === path);
  const [alone, setAlone] = useState(null);
  const row = at >= 0 ? rows[at] : alone;
  const ref = useRef();
  useEffect(() => {
    if (at >= 0) return;
    const [folder, name] = split(path);
    getJson("details", { path }).then(
      (known) => known.type === "collection"
        ? go(urlOf(path, true), true)
        : setAlone(new Row(folder, [name, known.size, known.modified_ms, known.content_type])),
      (problem) => setAlone(Object.assign(new Row(folder, [name, 0, 0, ""]), { problem })),
    );
  }, [path]);
  useLayoutEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    return () => before && before.focus({ preventScroll: true });
  }, []);
  const step = (by) => {
    for (let next = at + by; next >= 0 && next < rows.length; next += by) if (!rows[next].isFolder) return show(rows[next]);
    return undefined;
  };
  const key = (event) => {
    if (dialog.value || event.target.closest?.("video, audio, pre")) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else return;
    event.preventDefault();
  };
  // A click on a picture takes the focus from the dialog, and keys go past it.
  useEffect(() => {
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  });
  return html`<dialog class="preview" ref=${ref} aria-label=${row ? row.name : path}
    onCancel=${(event) => (event.preventDefault(), close())}>
    <header>
      <div class="title" tabindex="-1" autofocus><strong dir="auto">${row ? row.name : split(path)[1]}</strong>${row && html`<span class="hint">${formatSize(Math.max(0, row.size))}</span>`}</div>
      ${row && html`<button class="quiet icon-only" aria-label=${t("properties")} title=${t("properties")} onClick=${() => askProperties(row)}><${Icon} name="info" /></button>
      <button class="quiet icon-only" aria-label=${t("download")} title=${t("download")} onClick=${() => download([row])}><${Icon} name="download" /></button>`}
      <button class="quiet icon-only" aria-label=${t("close")} title=${t("close")} onClick=${close}><${Icon} name="close" /></button>
    </header>
    <div class="stage">
      ${at >= 0 && html`<button class="quiet icon-only step" aria-label=${t("previous")} onClick=${() => step(-1)}><${Icon} name="left" /></button>`}
      <div class="content">${row && html`<${Content} key=${row.path} row=${row} />`}</div>
      ${at >= 0 && html`<button class="quiet icon-only step" aria-label=${t("next")} onClick=${() => step(1)}><${Icon} name="right" /></button>`}
    </div>
  </dialog>`;
}

function Content({ row }) {
  const [failed, setFailed] = useState(false);
  const url = urlOf(row.path);
  const kind = kindOf(row);
  if (row.problem) return html`<div class="no-preview"><p role="alert">${wordsOf(row.problem)}</p></div>`;
  if (failed) return html`<${Nothing} row=${row} />`;
  const gone = () => setFailed(true);
  if (kind === "image") return html`<img src=${url} alt=${row.name} onError=${gone} />`;
  if (kind === "video") return html`<video src=${url} controls autoplay playsinline onError=${gone} aria-label=${row.name}></video>`;
  if (kind === "audio") return html`<audio src=${url} controls onError=${gone} aria-label=${row.name}></audio>`;
  if (kind === "pdf") return html`<iframe src=${url} title=${row.name}></iframe>`;
  if (["text", "code", "markdown"].includes(kind)) return html`<${Text} row=${row} url=${url} isMarkdown=${kind === "markdown"} />`;
  return html`<${Nothing} row=${row} />`;
}

const Nothing = ({ row }) => html`<div class="no-preview"><p>${t("noPreview")}</p>
  <button class="primary" onClick=${() => download([row])}><${Icon} name="download" />${t("download")}</button></div>`;

function Text({ row, url, isMarkdown }) {
  const [text, setText] = useState(null);
  const [problem, setProblem] = useState("");
  const [asSource, setAsSource] = useState(false);
  useEffect(() => {
    const ending = new AbortController();
    const headers = row.size > TEXT ? { Range: `bytes=0-${TEXT - 1}` } : {};
    call("GET", url, { headers, signal: ending.signal })
      .then(async (answer) => decode(await answer.arrayBuffer()))
      .then(setText, (failure) => failure.name !== "AbortError" && setProblem(wordsOf(failure)));
    return () => ending.abort();
  }, [url]);
  if (problem) return html`<div class="no-preview"><p role="alert">${problem}</p></div>`;
  if (text === null) return html`<p class="hint">${t("loading")}</p>`;
  if (text === undefined) return html`<${Nothing} row=${row} />`;
  return html`<div class="paper">
    ${isMarkdown && html`<div class="tabs" role="group"><button class="quiet" aria-pressed=${asSource ? "false" : "true"} onClick=${() => setAsSource(false)}>${t("rendered")}</button>
      <button class="quiet" aria-pressed=${asSource ? "true" : "false"} onClick=${() => setAsSource(true)}>${t("source")}</button></div>`}
    ${isMarkdown && !asSource ? html`<${Markdown} text=${text} name=${row.name} />` : html`<${Source} text=${text} />`}
    ${row.size > TEXT && html`<p class="hint cut">${t("textCut", formatSize(TEXT))}</p>`}
  </div>`;
}

/** The text of some bytes; undefined if they are no text. */
function decode(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes.subarray(0, 8192).includes(0)) {
    if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
    return undefined;
  }
  return new TextDecoder().decode(bytes);
}

function Source({ text }) {
  const lines = text.endsWith("\n") ? text.slice(0, -1).split("\n") : text.split("\n");
  return html`<div class="source" tabindex="0" role="region" aria-label=${t("source")}>
    <pre class="numbers" aria-hidden="true">${lines.map((_, at) => at + 1).join("\n")}</pre><pre class="lines">${lines.join("\n")}</pre>
  </div>`;
}

/** Markdown, in a frame in which nothing runs and which has no origin.  A link in it opens a window as any link does: in a sandbox,
 *  most sites would not work, and those that isolate themselves would not even open.
 */
function Markdown({ text, name }) {
  const [page, setPage] = useState(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    import("./vendor/marked.js").then(({ marked }) => {
      const nonce = document.querySelector("link[rel=stylesheet]").nonce;
      const scheme = document.documentElement.dataset.theme || "light dark";
      setPage(`<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="${scheme}"><base target="_blank">` +
        `<link rel="stylesheet" nonce="${nonce}" href="${location.origin}${start.assets}/markdown.css"><body>${marked.parse(text)}`);
    }, () => setFailed(true));
  }, [text]);
  if (failed) return html`<p class="problem" role="alert">${t("loadAgain")}</p>`;
  return page === null ? html`<p class="hint">${t("loading")}</p>` : html`<iframe class="markdown" sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc=${page} title=${name}></iframe>`;
}
