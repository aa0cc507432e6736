// Where one is: breadcrumbs, which turn into a field that one can type into.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { getJson, split, urlOf } from "./api.js";
import { Icon } from "./icons.js";
import { follow, openFolder } from "./router.js";
import { t } from "./texts.js";

const SUGGESTED = 8;

export function Path({ path }) {
  const [typing, setTyping] = useState(false);
  const names = path === "/" ? [] : path.slice(1).split("/");
  useEffect(() => setTyping(false), [path]);
  const row = useRef();
  useEffect(() => {
    if (row.current) row.current.scrollLeft = row.current.scrollWidth;
  }, [path, typing]);
  if (typing) return html`<${PathField} path=${path} done=${() => setTyping(false)} />`;
  return html`<nav class="path" aria-label=${t("path")}>
    <ol ref=${row}>
      <li><a href=${urlOf("/", true)} onClick=${follow} aria-current=${names.length ? undefined : "page"}>${t("files")}</a></li>
      ${names.map((name, at) => {
        const to = `/${names.slice(0, at + 1).join("/")}`;
        const isLast = at === names.length - 1;
        return html`<li key=${to}><span class="sep" aria-hidden="true">/</span>
          <a href=${urlOf(to, true)} onClick=${follow} dir="auto" aria-current=${isLast ? "page" : undefined}>${name}</a></li>`;
      })}
    </ol>
    <button class="quiet icon-only" aria-label=${t("typePath")} title=${`${t("typePath")} (/)`} data-type-path onClick=${() => setTyping(true)}>
      <${Icon} name="rename" size=${16} />
    </button>
  </nav>`;
}

function PathField({ path, done }) {
  const [text, setText] = useState(path === "/" ? "/" : `${path}/`);
  const [names, setNames] = useState([]);
  const [at, setAt] = useState(-1);
  const ref = useRef();
  const [folder, begun] = split(text);
  // Before the next key: what is typed at once belongs here, and not to the filter.
  useLayoutEffect(() => {
    ref.current.focus();
    ref.current.setSelectionRange(text.length, text.length);
  }, []);
  useEffect(() => {
    if (!text.startsWith("/")) return undefined;
    const ending = new AbortController();
    getJson("list", { path: folder, limit: 2000 }, ending.signal).then(
      (page) => setNames(page.members.filter((each) => each[1] < 0).map((each) => each[0])),
      (failure) => failure.name !== "AbortError" && setNames([]),
    );
    return () => ending.abort();
  }, [folder]);
  const offered = names.filter((name) => name.toLowerCase().startsWith(begun.toLowerCase())).slice(0, SUGGESTED);
  const take = (name) => {
    setText(`${folder === "/" ? "" : folder}/${name}/`);
    setAt(-1);
    ref.current.focus();
  };
  const key = (event) => {
    if (event.key === "Escape") done();
    else if (event.key === "ArrowDown") setAt(Math.min(at + 1, offered.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, -1));
    else if (event.key === "Tab" && offered.length && begun) take(offered[Math.max(at, 0)]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const submit = (event) => {
    event.preventDefault();
    if (at >= 0) return take(offered[at]);
    const wanted = `/${text}`.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
    done();
    openFolder(wanted);
  };
  return html`<form class="path typing" onSubmit=${submit} onKeyDown=${key}
    onFocusOut=${(event) => event.currentTarget.contains(event.relatedTarget) || done()}>
    <input ref=${ref} value=${text} aria-label=${t("path")} role="combobox" aria-expanded=${offered.length ? "true" : "false"}
      aria-controls="path-offers" aria-autocomplete="list" aria-activedescendant=${at >= 0 ? `offer-${at}` : undefined}
      autocomplete="off" autocapitalize="off" spellcheck="false"
      onInput=${(event) => (setText(event.target.value), setAt(-1))} />
    <ul class="offers" id="path-offers" role="listbox" aria-label=${t("folders")} hidden=${!offered.length}>
      ${offered.map(
        (name, index) => html`<li role="option" id=${`offer-${index}`} aria-selected=${index === at ? "true" : "false"}
          onPointerDown=${(event) => (event.preventDefault(), take(name))}>${name}</li>`,
      )}
    </ul>
  </form>`;
}
