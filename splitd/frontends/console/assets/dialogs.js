// Dialogs, menus, and the line that says what has just been done.
import { html, Signal, useEffect, useLayoutEffect, useRef, useSignal, useState } from "./html.js";
import { Icon } from "./icons.js";
import { t } from "./texts.js";

export const dialog = new Signal(null);
export const toasts = new Signal([]);
let next = 0;

/** Say something for some seconds. */
export function say(text, { bad = false, action = null } = {}) {
  const toast = { id: (next += 1), text, bad, action };
  toasts.set([...toasts.value.slice(-2), toast]);
  setTimeout(() => hush(toast), bad || action ? 12000 : 5000);
}

const hush = (toast) => toasts.set(toasts.value.filter((each) => each !== toast));

/** What people read about a failure: the words of the server. */
export const wordsOf = (problem) => (problem.status === 0 ? t("noConnection") : problem.message);

export const sayFailure = (what, problem) => say(`${what}: ${wordsOf(problem)}`, { bad: true });

export function Toasts() {
  const all = useSignal(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${all.map(
      (toast) => html`<div key=${toast.id} class=${toast.bad ? "toast bad" : "toast"}>
        <span>${toast.text}</span>
        ${toast.action &&
        html`<button class="plain" onClick=${() => (hush(toast), toast.action.run())}>${toast.action.label}</button>`}
        <button class="quiet icon-only" aria-label=${t("dismiss")} onClick=${() => hush(toast)}><${Icon} name="close" size=${16} /></button>
      </div>`,
    )}
  </div>`;
}

/** Show a dialog; the promise holds what it was closed with, undefined if it was given up. */
export const open = (View, props = {}) =>
  new Promise((done) => {
    dialog.set({
      View,
      props,
      close: (result) => {
        dialog.set(null);
        done(result);
      },
    });
  });

export function Dialogs() {
  const shown = useSignal(dialog);
  return shown && html`<${shown.View} ...${shown.props} close=${shown.close} />`;
}

/** The frame of a dialog. */
export function Modal({ title, close, children, wide = false, className = "" }) {
  const ref = useRef();
  useLayoutEffect(() => {
    const element = ref.current;
    const before = document.activeElement;
    element.showModal();
    const first = element.querySelector("[data-first]");
    if (first) {
      first.focus();
      if (first.select) first.select();
    }
    return () => before && before.focus && before.focus({ preventScroll: true });
  }, []);
  return html`<dialog
    ref=${ref}
    class=${`modal ${wide ? "wide" : ""} ${className}`}
    aria-labelledby="dialog-title"
    onCancel=${(event) => (event.preventDefault(), close())}
    onClick=${(event) => event.target === ref.current && close()}
  >
    <div class="modal-inside">
      <header><h2 id="dialog-title">${title}</h2>
        <button class="quiet icon-only" aria-label=${t("close")} onClick=${() => close()}><${Icon} name="close" /></button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/** A dialog with one field; `run` does what it asks for, and its failure is shown in the dialog. */
export function Ask({ title, label, value = "", action, run, check = () => "", close }) {
  const [text, setText] = useState(value);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const ref = useRef();
  useEffect(() => {
    const dot = value.lastIndexOf(".");
    ref.current.focus();
    ref.current.setSelectionRange(0, dot > 0 ? dot : value.length);
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const wrong = check(text);
    if (wrong) return setProblem(wrong);
    setBusy(true);
    try {
      close(await run(text));
    } catch (failure) {
      setProblem(wordsOf(failure));
      setBusy(false);
    }
  };
  return html`<${Modal} title=${title} close=${close}>
    <form onSubmit=${submit}>
      <label class="field"><span>${label}</span>
        <input ref=${ref} value=${text} onInput=${(event) => setText(event.target.value)} autocomplete="off" spellcheck="false"
          aria-invalid=${problem ? "true" : "false"} aria-describedby="dialog-problem" required />
      </label>
      <p class="problem" id="dialog-problem" role="alert">${problem}</p>
      <footer><button type="button" onClick=${() => close()}>${t("cancel")}</button>
        <button class="primary" disabled=${busy || !text}>${action}</button></footer>
    </form>
  </${Modal}>`;
}

/** A dialog that asks whether something shall be done. */
export function Confirm({ title, text, action, danger = false, run, close }) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      close((await run()) ?? true);
    } catch (failure) {
      setProblem(wordsOf(failure));
      setBusy(false);
    }
  };
  return html`<${Modal} title=${title} close=${close}>
    <form onSubmit=${submit}>
      <p>${text}</p>
      <p class="problem" role="alert">${problem}</p>
      <footer><button type="button" onClick=${() => close()}>${t("cancel")}</button>
        <button class=${danger ? "primary danger" : "primary"} data-first disabled=${busy}>${action}</button></footer>
    </form>
  </${Modal}>`;
}

// Menus

export const menu = new Signal(null);

/** Show a menu at a place of the window.  `items` are {icon, label, run, danger}; null is a line between them. */
export function openMenu(x, y, items) {
  menu.set({ x, y, items, before: document.activeElement });
}

function closeMenu() {
  const shown = menu.value;
  menu.set(null);
  if (shown && shown.before && shown.before.focus) shown.before.focus({ preventScroll: true });
}

export function Menus() {
  const shown = useSignal(menu);
  const ref = useRef();
  useLayoutEffect(() => {
    if (!shown) return undefined;
    const element = ref.current;
    const { offsetWidth, offsetHeight } = element;
    element.style.left = `${Math.max(8, Math.min(shown.x, innerWidth - offsetWidth - 8))}px`;
    element.style.top = `${Math.max(8, Math.min(shown.y, innerHeight - offsetHeight - 8))}px`;
    element.querySelector("button").focus();
    const outside = (event) => element.contains(event.target) || closeMenu();
    addEventListener("pointerdown", outside, true);
    addEventListener("resize", closeMenu);
    return () => {
      removeEventListener("pointerdown", outside, true);
      removeEventListener("resize", closeMenu);
    };
  }, [shown]);
  if (!shown) return null;
  const move = (event) => {
    const buttons = [...ref.current.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") closeMenu();
    else if (to === undefined) return;
    else buttons[(to + buttons.length) % buttons.length].focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="menu" role="menu" aria-label=${t("actions")} ref=${ref} onKeyDown=${move}>
    ${shown.items.map((item) =>
      item
        ? html`<button role="menuitem" class=${item.danger ? "danger" : ""} onClick=${() => (closeMenu(), item.run())}>
            <${Icon} name=${item.icon} size=${18} />${item.label}${item.keys && html`<kbd>${item.keys}</kbd>`}
          </button>`
        : html`<hr />`,
    )}
  </div>`;
}
