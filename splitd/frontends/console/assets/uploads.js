// The panel of the uploads.
import { html, useEffect, useSignal, useState } from "./html.js";
import { formatNumber, formatSize, formatSpan } from "./format.js";
import { Icon } from "./icons.js";
import { t } from "./texts.js";
import { answer, clear, goOn, pause, retry, speed, stop, stopAll, uploads } from "./upload.js";

const SHOWN = 60; // lines; the others are counted only
const ORDER = { asks: 0, failed: 1, left: 2, lost: 3, running: 3, paused: 4, waiting: 5, stopped: 6, done: 7 };

export function Uploads() {
  const all = useSignal(uploads);
  const [isOpen, setOpen] = useState(true);
  const [, tick] = useState(0);
  const isBusy = all.some((upload) => !upload.isOver && upload.state !== "left");
  const left = all.filter((upload) => upload.state === "left").length;
  useEffect(() => {
    if (!isBusy) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [isBusy]);
  if (!all.length) return null;
  const size = all.reduce((sum, upload) => sum + (upload.state === "stopped" ? 0 : upload.size), 0);
  const sent = all.reduce((sum, upload) => sum + (upload.state === "stopped" ? 0 : upload.sent), 0);
  const done = all.filter((upload) => upload.state === "done").length;
  const failed = all.filter((upload) => upload.state === "failed").length;
  const asking = all.filter((upload) => upload.state === "asks").length;
  const rate = speed();
  const share = size ? sent / size : done / all.length;
  const title = isBusy ? t("uploading", done, all.length) : left ? t("leftUploads", left) : failed ? t("uploadsFailed", failed) : t("uploaded", done);
  const shown = [...all].sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.id - b.id).slice(0, SHOWN);
  return html`<section class="uploads" aria-label=${t("uploads")}>
    <header>
      <button class="quiet title" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => setOpen(!isOpen)}>
        <${Icon} name=${isOpen ? "down" : "up"} size=${16} /><strong>${title}</strong>
        ${isBusy && html`<span class="hint">${t("perSecond", formatSize(rate))}${rate > 0 && size > sent ? ` · ${t("left", formatSpan((size - sent) / rate))}` : ""}</span>`}
      </button>
      ${isBusy
        ? html`<button class="quiet" onClick=${stopAll}>${t("cancelAll")}</button>`
        : html`<button class="quiet icon-only" aria-label=${t("close")} onClick=${clear}><${Icon} name="close" size=${18} /></button>`}
    </header>
    <div class="track whole" role="progressbar" aria-label=${title} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.floor(share * 100)}>
      <div style=${{ width: `${share * 100}%` }}></div></div>
    ${asking > 1 && html`<div class="ask-all"><span>${t("manyTaken", asking)}</span>
      <button onClick=${() => answer(null, "replace", true)}>${t("replaceAll")}</button>
      <button onClick=${() => answer(null, "both", true)}>${t("keepAllBoth")}</button>
      <button onClick=${() => answer(null, "skip", true)}>${t("skipAll")}</button></div>`}
    ${isOpen && html`<ul>${shown.map((upload) => html`<${Line} key=${upload.id} upload=${upload} />`)}
      ${all.length > SHOWN && html`<li class="hint rest">${t("andMore", formatNumber(all.length - SHOWN))}</li>`}</ul>`}
  </section>`;
}

/** Files cannot be read after a reload before people have chosen them once more. */
function chooseAgain(upload) {
  const input = document.createElement("input");
  input.type = "file";
  input.addEventListener("change", () => input.files.length && goOn(upload, input.files[0]));
  input.click();
}

function Line({ upload }) {
  const { state, size, sent } = upload;
  const words = {
    waiting: t("waits"),
    running: `${formatSize(sent)} / ${formatSize(size)}`,
    lost: t("lostNetwork", formatSize(sent), formatSize(size)),
    paused: t("isPaused", formatSize(sent), formatSize(size)),
    left: upload.message || t("wasLeft"),
    asks: t("isTaken"),
    done: formatSize(size),
    failed: upload.message,
    stopped: upload.message,
  }[state];
  const named = (text) => t("actionOn", text, upload.name);
  return html`<li class=${state} data-state=${state}>
    <span class="upload-name" title=${upload.path}>${upload.name}</span><span class="upload-state">${words}</span>
    <span class="upload-actions">
      ${state === "asks" && html`<button aria-label=${named(t("replace"))} onClick=${() => answer(upload, "replace")}>${t("replace")}</button>
        <button aria-label=${named(t("keepBoth"))} onClick=${() => answer(upload, "both")}>${t("keepBoth")}</button>
        <button aria-label=${named(t("skip"))} onClick=${() => answer(upload, "skip")}>${t("skip")}</button>`}
      ${state === "left" && html`<button aria-label=${named(t("chooseAgain"))} onClick=${() => chooseAgain(upload)}>${t("chooseAgain")}</button>`}
      ${(state === "running" || state === "lost") && upload.isResumable && html`<button class="quiet icon-only" aria-label=${named(t("pause"))} onClick=${() => pause(upload)}><${Icon} name="pause" size=${16} /></button>`}
      ${state === "paused" && html`<button class="quiet icon-only" aria-label=${named(t("goOn"))} onClick=${() => retry(upload)}><${Icon} name="play" size=${16} /></button>`}
      ${(state === "failed" || state === "stopped") && html`<button class="quiet icon-only" aria-label=${named(t("tryAgain"))} onClick=${() => retry(upload)}><${Icon} name="retry" size=${16} /></button>`}
      ${["running", "lost", "waiting", "paused", "left"].includes(state) && html`<button class="quiet icon-only" aria-label=${named(t("cancel"))} onClick=${() => stop(upload)}><${Icon} name="close" size=${16} /></button>`}
      ${state === "done" && html`<span class="tick"><${Icon} name="check" size=${16} /></span>`}
    </span>
    ${["running", "lost", "paused"].includes(state) && html`<div class="track"><div style=${{ width: `${size ? (sent / size) * 100 : 0}%` }}></div></div>`}
  </li>`;
}

