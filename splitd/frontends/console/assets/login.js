// Who is there?
import { Fragment, html, useLayoutEffect, useRef, useState, useSignal } from "./html.js";
import { base, loginAsked, me, postJson, start } from "./api.js";
import { wordsOf } from "./dialogs.js";
import { Mark } from "./icons.js";
import { t } from "./texts.js";

/** The form above a page that is there already, whatever else lies above it. */
export function LoginAbove() {
  const ref = useRef();
  useLayoutEffect(() => ref.current.showModal(), []);
  return html`<dialog class="veil" ref=${ref} aria-label=${t("logIn")} onCancel=${(event) => event.preventDefault()}><${Login} /></dialog>`;
}

/** The form.  While a page is there already, it lies above it, and the page goes on afterwards. */
export function Login() {
  const asked = useSignal(loginAsked);
  const [problem, setProblem] = useState(start.failed ? t("signInFailed", start.message) : "");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    setProblem("");
    try {
      const before = me.value.name;
      me.set(await postJson("login", { name: form.get("name"), password: form.get("password") }));
      if (start.next) location.assign(start.next);
      else if (start.login || (before && before !== me.value.name)) location.reload(); // others see other files
      else loginAsked.set(null);
    } catch (failure) {
      setProblem(failure.status === 401 ? t("wrongPassword") : wordsOf(failure));
      setBusy(false);
    }
  };
  if (asked === null) return null;
  const issuer = me.value.sign_in;
  const next = start.next || location.pathname + location.search;
  return html`<div class="login"><main>
    <form class="card" onSubmit=${submit}>
      <div class="brand"><${Mark} size=${36} /></div>
      <h1>${t("logIn")}</h1>
      ${issuer && html`<a class="button primary" href=${`${base}/.splitd/oidc/login?${new URLSearchParams({ next })}`}>${t("signInWith", issuer.name)}</a>`}
      ${issuer && !issuer.passwords ? html`<p class="problem" role="alert">${problem}</p>` : html`<${Password} problem=${problem} busy=${busy} second=${!!issuer} />`}
    </form>
  </main></div>`;
}

const Password = ({ problem, busy, second }) => html`<${Fragment}>
      <label class="field"><span>${t("userName")}</span>
        <input name="name" autocomplete="username" autocapitalize="off" spellcheck="false" autofocus required value=${me.value.name} /></label>
      <label class="field"><span>${t("password")}</span>
        <input name="password" type="password" autocomplete="current-password" required /></label>
      <p class="problem" role="alert">${problem}</p>
      <button class=${second ? "" : "primary"} disabled=${busy}>${busy ? t("loggingIn") : t("logIn")}</button>
    </${Fragment}>`;
