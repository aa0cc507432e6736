// Links by which people without a login read files, or leave some.
import { html, useEffect, useState } from "./html.js";
import { api, call, getJson, postJson } from "./api.js";
import { Confirm, Modal, open, say, wordsOf } from "./dialogs.js";
import { formatTime } from "./format.js";
import { Icon } from "./icons.js";
import { t } from "./texts.js";
import { useSubmit } from "./forms.js";

const DAYS = [1, 7, 30, 0];

export const askShare = (row) => open(Share, { row });

const whole = (url) => new URL(url, location.origin).href;

async function copy(url) {
  try {
    await navigator.clipboard.writeText(whole(url));
    say(t("linkCopied"));
  } catch {
    await open(Shown, { url });
  }
}

function Share({ row, close }) {
  const [mode, setMode] = useState("read");
  const [days, setDays] = useState(7);
  const { made, problem, busy, submit } = useSubmit((form) => {
    const downloads = Number(form.get("downloads"));
    return postJson("shares", {
      path: row.path,
      mode,
      ...(days && { days }),
      ...(form.get("password") && { password: form.get("password") }),
      ...(mode === "read" && downloads && { downloads }),
    });
  });
  if (made) return html`<${Shown} url=${made.url} close=${close} />`;
  return html`<${Modal} title=${t("shareTitle", row.name)} close=${close}>
    <form onSubmit=${submit}>
      ${row.isFolder && html`<fieldset class="choice"><legend class="unseen">${t("shareMode")}</legend>
        ${["read", "upload"].map((each) => html`<label><input type="radio" name="mode" value=${each} checked=${mode === each} onChange=${() => setMode(each)} />
          <span><strong>${t(`share-${each}`)}</strong><br />${t(`share-${each}-text`)}</span></label>`)}
      </fieldset>`}
      <label class="field"><span>${t("shareEnds")}</span>
        <select data-first value=${String(days)} onChange=${(event) => setDays(Number(event.target.value))}>
          ${DAYS.map((each) => html`<option value=${String(each)}>${each ? t("days", each) : t("neverEnds")}</option>`)}
        </select></label>
      <label class="field"><span>${t("sharePassword")}</span><input name="password" type="password" autocomplete="new-password" /></label>
      ${mode === "read" && html`<label class="field"><span>${t("shareDownloads")}</span><input name="downloads" type="number" min="1" max="1000000000" inputmode="numeric" /></label>`}
      <p class="problem" role="alert">${problem}</p>
      <footer><button type="button" onClick=${() => close()}>${t("cancel")}</button><button class="primary" disabled=${busy}>${t("makeLink")}</button></footer>
    </form>
  </${Modal}>`;
}

function Shown({ url, close }) {
  return html`<${Modal} title=${t("linkMade")} close=${close}>
    <label class="field"><span>${t("address")}</span><input data-first readonly value=${whole(url)} /></label>
    <p class="hint">${t("linkIsSecret")}</p>
    <footer><button class="primary" onClick=${() => navigator.clipboard ? navigator.clipboard.writeText(whole(url)).then(() => (say(t("linkCopied")), close())) : close()}>
      ${navigator.clipboard ? t("copyLink") : t("close")}</button></footer>
  </${Modal}>`;
}

/** One's own links. */
export function Shares() {
  const [shares, setShares] = useState(null);
  const [problem, setProblem] = useState("");
  const load = async () => {
    try {
      const all = [];
      for (let after = ""; after !== null; ) {
        const page = await getJson("shares", after ? { after } : {});
        all.push(...page.shares);
        after = page.next;
      }
      setShares(all.sort((a, b) => b.made_ms - a.made_ms));
    } catch (failure) {
      setProblem(wordsOf(failure));
    }
  };
  useEffect(() => {
    document.title = `${t("shares")} – splitd`;
    load();
  }, []);
  const revoke = async (share) => {
    const done = await open(Confirm, {
      title: t("revokeTitle"),
      text: t("revokeText", share.path),
      action: t("revoke"),
      danger: true,
      run: () => call("DELETE", `${api}/shares/${encodeURIComponent(share.id)}`).then(() => true),
    });
    if (done) setShares((all) => all.filter((each) => each.id !== share.id));
  };
  return html`<div class="panel shares"><header class="section-head"><h1>${t("shares")}</h1></header>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${!shares && !problem && html`<p class="hint">${t("loading")}</p>`}
    ${shares && !shares.length && html`<p class="hint">${t("noShares")}</p>`}
    ${shares && html`<ul class="share-list">${shares.map((share) => html`<li key=${share.id}>
      <${Icon} name=${share.mode === "upload" ? "upload" : "link"} />
      <div><strong>${share.path}</strong><p class="hint">${aboutShare(share)}</p></div>
      <button onClick=${() => copy(share.url)} aria-label=${t("actionOn", t("copyLink"), share.path)}>${t("copyLink")}</button>
      <button class="quiet icon-only" onClick=${() => revoke(share)} aria-label=${t("actionOn", t("revoke"), share.path)} title=${t("revoke")}><${Icon} name="bin" size=${18} /></button>
    </li>`)}</ul>`}
  </div>`;
}

const aboutShare = (share) => [
  t(`share-${share.mode}`),
  share.ends_ms ? t("endsAt", formatTime(share.ends_ms)) : t("neverEnds"),
  share.downloads && t("downloadsOf", share.downloads_used, share.downloads),
  share.password && t("hasPassword"),
  t("madeAt", formatTime(share.made_ms)),
].filter(Boolean).join("\u00a0· ");
