// Who is there?
import { html, useLayoutEffect, useRef, useState, useSignal } from "./html.js";
import { loginAsked, me, postJson, start } from "./api.js";
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
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    setProblem("");
    try {
      me.set(await postJson("login", { name: form.get("name"), password: form.get("password") }));
      if (start.login) location.reload();
      else loginAsked.set(null);
    } catch (failure) {
      setProblem(failure.status === 401 ? t("wrongPassword") : wordsOf(failure));
      setBusy(false);
    }
  };
  if (asked === null) return null;
  return html`<div class="login"><main>
    <form class="card" onSubmit=${submit}>
      <div class="brand"><${Mark} size=${36} /></div>
      <h1>${t("logIn")}</h1>
      <label class="field"><span>${t("userName")}</span>
        <input name="name" autocomplete="username" autocapitalize="off" spellcheck="false" autofocus required value=${me.value.name} /></label>
      <label class="field"><span>${t("password")}</span>
        <input name="password" type="password" autocomplete="current-password" required /></label>
      <p class="problem" role="alert">${problem}</p>
      <button class="primary" disabled=${busy}>${busy ? t("loggingIn") : t("logIn")}</button>
    </form>
  </main></div>`;
}
