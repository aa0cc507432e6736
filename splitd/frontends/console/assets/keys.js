// Keys and tokens that one makes for oneself.
import { html, useEffect, useState } from "./html.js";
import { api, call, getJson, me, postJson } from "./api.js";
import { Confirm, Modal, open, say, wordsOf } from "./dialogs.js";
import { formatTime } from "./format.js";
import { Icon } from "./icons.js";
import { t } from "./texts.js";
import { useSubmit } from "./forms.js";

const DAYS = [7, 30, 90, 365, 0];
const RIGHTS = { read: ["read"], write: ["read", "write"], admin: ["read", "write", "admin"] };

const nameOf = (key) => key.label || (key.kind === "key" ? key.id : t("token"));

function Make({ s3, close }) {
  const [kind, setKind] = useState(s3 ? "key" : "token");
  const { made, problem, busy, submit } = useSubmit((form) => {
    const days = Number(form.get("days"));
    return postJson("keys", { kind, label: form.get("label"), allow: RIGHTS[form.get("rights")], path: form.get("path") || "/", ...(days && { days }) });
  });
  if (made) return html`<${Shown} made=${made} close=${() => close(made)} />`;
  return html`<${Modal} title=${t("makeKey")} close=${() => close()}>
    <form onSubmit=${submit}>
      <fieldset class="choice"><legend class="unseen">${t("keyKind")}</legend>
        ${(s3 ? ["key", "token"] : ["token"]).map((each) => html`<label><input type="radio" name="kind" value=${each} checked=${kind === each} onChange=${() => setKind(each)} />
          <span><strong>${t(`kind-${each}`)}</strong><br />${t(`kind-${each}-text`)}</span></label>`)}
      </fieldset>
      <label class="field"><span>${t("keyLabel")}</span><input data-first name="label" maxlength="100" autocomplete="off" /></label>
      <label class="field"><span>${t("keyRights")}</span>
        <select name="rights">${["write", "read", ...(me.value.operator ? ["admin"] : [])].map((each) => html`<option value=${each}>${t(`rights-${each}`)}</option>`)}</select></label>
      <label class="field"><span>${t("keyPath")}</span><input name="path" value="/" autocomplete="off" spellcheck="false" /></label>
      <label class="field"><span>${t("shareEnds")}</span>
        <select name="days">${DAYS.map((each) => html`<option value=${String(each)} selected=${each === 90}>${each ? t("days", each) : t("neverEnds")}</option>`)}</select></label>
      <p class="problem" role="alert">${problem}</p>
      <footer><button type="button" onClick=${() => close()}>${t("cancel")}</button><button class="primary" disabled=${busy}>${t("make")}</button></footer>
    </form>
  </${Modal}>`;
}

/** What has been made, for the only time. */
function Shown({ made, close }) {
  const isKey = made.kind === "key";
  const copy = () => navigator.clipboard.writeText(isKey ? `${made.id}\n${made.secret}` : made.secret).then(() => say(t("copiedSecret")));
  return html`<${Modal} title=${t(isKey ? "keyMade" : "tokenMade")} close=${close}>
    ${isKey && html`<label class="field"><span>${t("accessKey")}</span><input readonly value=${made.id} /></label>`}
    <label class="field"><span>${t(isKey ? "secretKey" : "token")}</span><input data-first readonly value=${made.secret} /></label>
    <p class="hint">${t("shownOnce")}</p>
    <footer>${navigator.clipboard && html`<button type="button" onClick=${copy}>${t("copySecret")}</button>`}
      <button class="primary" onClick=${close}>${t("done")}</button></footer>
  </${Modal}>`;
}

/** The view. */
export function Keys() {
  const [keys, setKeys] = useState(null);
  const [s3, setS3] = useState(false);
  const [problem, setProblem] = useState("");
  const load = async () => {
    try {
      const found = await getJson("keys");
      setKeys(found.keys.sort((a, b) => b.made_ms - a.made_ms));
      setS3(found.s3);
    } catch (failure) {
      setProblem(wordsOf(failure));
    }
  };
  useEffect(() => {
    document.title = `${t("keys")} – splitd`;
    load();
  }, []);
  const make = async () => (await open(Make, { s3 })) && load();
  const revoke = async (key) => {
    const done = await open(Confirm, {
      title: t("revokeKeyTitle"),
      text: t("revokeKeyText", nameOf(key)),
      action: t("revoke"),
      danger: true,
      run: () => call("DELETE", `${api}/keys/${encodeURIComponent(key.id)}`).then(() => true),
    });
    if (done) setKeys((all) => all.filter((each) => each.id !== key.id));
  };
  return html`<div class="panel shares"><header class="section-head"><h1>${t("keys")}</h1><span class="spring"></span>
      ${keys && html`<button class="primary" onClick=${make}>${t("makeKey")}</button>`}</header>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${!keys && !problem && html`<p class="hint">${t("loading")}</p>`}
    ${keys && !keys.length && html`<p class="hint">${t("noKeys")}</p>`}
    ${keys && html`<ul class="share-list">${keys.map((key) => html`<li key=${key.id}>
      <${Icon} name="key" />
      <div><strong>${nameOf(key)}</strong><p class="hint">${about(key)}</p></div>
      <button class="quiet icon-only" onClick=${() => revoke(key)} aria-label=${t("actionOn", t("revoke"), nameOf(key))} title=${t("revoke")}><${Icon} name="bin" size=${18} /></button>
    </li>`)}</ul>`}
  </div>`;
}

const about = (key) => [
  key.kind === "key" ? t("keyOfId", key.id) : t("token"),
  t(`rights-${key.allow.includes("admin") ? "admin" : key.allow.includes("write") ? "write" : "read"}`),
  key.path !== "/" && key.path,
  key.ends_ms ? t("endsAt", formatTime(key.ends_ms)) : t("neverEnds"),
  key.used_ms ? t("usedAt", formatTime(key.used_ms)) : t("neverUsed"),
  t("keyMadeAt", formatTime(key.made_ms)),
].filter(Boolean).join("\u00a0· ");
