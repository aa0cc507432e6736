// The page: its frame, and the view that the address stands for.
import { html, render, useEffect, useSignal, useState } from "./html.js";
import { getJson, loginAsked, me, postJson, start, urlOf } from "./api.js";
import { Dialogs, Menus, openMenu, sayFailure, Toasts } from "./dialogs.js";
import { Files } from "./files.js";
import { formatSize } from "./format.js";
import { Icon, Mark } from "./icons.js";
import { language, setLanguage } from "./languages.js";
import { Login, LoginAbove } from "./login.js";
import { follow, go, route, viewUrl } from "./router.js";
import { t } from "./texts.js";
import { Uploads } from "./uploads.js";
import { finished } from "./upload.js";

const lazy = {
  cluster: () => import("./cluster.js").then((module) => module.Cluster),
  shares: () => import("./shares.js").then((module) => module.Shares),
  keys: () => import("./keys.js").then((module) => module.Keys),
  bin: () => import("./deleted.js").then((module) => module.Deleted),
};

function App() {
  const { view, path, query } = useSignal(route);
  const who = useSignal(me);
  const asked = useSignal(loginAsked);
  // A view that had no login shows why; after one, it begins anew.  The files look for themselves.
  const [logins, setLogins] = useState(0);
  useEffect(() => loginAsked.watch((why) => why === null && setLogins((count) => count + 1)), []);
  if (start.login && asked !== null) return html`<${Login} />`;
  return html`<div class="app">
    <a class="skip" href="#main">${t("skipToContent")}</a>
    <header class="top">
      <a class="brand" href=${urlOf("/", true)} onClick=${follow} aria-label="splitd"><${Mark} /><span>splitd</span></a>
      <nav class="views" aria-label=${t("views")}>
        <${ViewLink} name="files" href=${urlOf("/", true)} is=${view === "files"} />
        ${(who.name || !who.users) && html`<${ViewLink} name="shares" href=${viewUrl("shares")} is=${view === "shares"} />`}
        ${who.bin > 0 && (who.name || !who.users) && html`<${ViewLink} name="bin" href=${viewUrl("bin")} is=${view === "bin"} />`}
        ${who.operator && html`<${ViewLink} name="cluster" href=${viewUrl("cluster")} is=${view === "cluster"} />`}
      </nav>
      <span class="spring"></span>
      <${Room} path=${view === "files" ? path : "/"} />
      <button class="quiet who" aria-haspopup="menu" aria-label=${who.name ? t("accountOf", who.name) : t("settings")} onClick=${accountMenu}>
        <span class="avatar" aria-hidden="true">${who.name ? [...who.name][0].toUpperCase() : html`<${Icon} name="account" size=${18} />`}</span></button>
    </header>
    <main id="main" tabindex="-1">${view === "files" ? html`<${Files} path=${path} query=${query} />` : html`<${Lazy} key=${`${view} ${logins}`} name=${view} />`}
      <${Menus} /><${Toasts} /></main>
    <${Uploads} /><${Dialogs} />
    ${asked !== null && html`<${LoginAbove} />`}
  </div>`;
}

const ViewLink = ({ name, href, is }) =>
  html`<a href=${href} onClick=${follow} aria-label=${t(name)} aria-current=${is ? "page" : undefined}><${Icon} name=${name} size=${18} /><span>${t(name)}</span></a>`;

function Lazy({ name }) {
  const [View, setView] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    if (!Object.hasOwn(lazy, name)) setProblem(t("noView"));
    else lazy[name]().then((loaded) => setView(() => loaded), () => setProblem(t("loadAgain")));
  }, [name]);
  if (problem) return html`<div class="empty"><p>${problem}</p></div>`;
  return View ? html`<${View} />` : html`<div class="empty"><p class="hint">${t("loading")}</p></div>`;
}

/** How full the store is. */
function Room({ path }) {
  const [room, setRoom] = useState(null);
  useEffect(() => {
    let timer = 0;
    const look = () => getJson("room", { path }).then(setRoom, () => setRoom(null));
    look();
    const unwatch = finished.watch(() => {
      timer ||= setTimeout(() => ((timer = 0), look()), 3000);
    });
    return () => (unwatch(), clearTimeout(timer));
  }, [path]);
  if (!room) return null;
  const share = room.used + room.available > 0 ? room.used / (room.used + room.available) : 0;
  const text = t("roomLeft", formatSize(room.used), formatSize(room.available));
  return html`<div class="room" title=${text}><span>${t("free", formatSize(room.available))}</span>
    <div class=${share > 0.9 ? "track full" : "track"} role="meter" aria-label=${text} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}>
      <div style=${{ width: `${Math.max(share * 100, 1)}%` }}></div></div></div>`;
}

const themes = ["auto", "light", "dark"];
const theme = () => document.documentElement.dataset.theme || "auto";

function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("splitd.theme", name);
  } catch {
    // It is kept for as long as the page is.
  }
}

function accountMenu(event) {
  const { right, bottom } = event.currentTarget.getBoundingClientRect();
  const nextTheme = themes[(themes.indexOf(theme()) + 1) % themes.length];
  const other = language === "ru" ? "en" : "ru";
  const signOut = (name) => async () => {
    try {
      const { next } = await postJson(name);
      location.assign(next || urlOf("/", true));
    } catch (problem) {
      sayFailure(t("logOut"), problem);
    }
  };
  openMenu(right - 220, bottom + 6, [
    { icon: "grid", label: t(`theme-${nextTheme}`), run: () => setTheme(nextTheme) },
    { icon: "info", label: other === "ru" ? "По-русски" : "In English", run: () => setLanguage(other) },
    ...(me.value.name ? [{ icon: "key", label: t("keys"), run: () => go(viewUrl("keys")) }] : []),
    ...(me.value.session
      ? [null, { icon: "out", label: t("logOut"), run: signOut("logout") }, { icon: "out", label: t("logOutEverywhere"), run: signOut("logout-everywhere") }]
      : me.value.users && !me.value.name
        ? [null, { icon: "account", label: t("logIn"), run: () => loginAsked.set("") }]
        : []),
  ]);
}

// Files that are dropped beside the list would take the place of the page.
for (const name of ["dragover", "drop"]) {
  addEventListener(name, (event) => [...(event.dataTransfer?.types || [])].includes("Files") && event.preventDefault());
}

try {
  setTheme(localStorage.getItem("splitd.theme") || "auto");
} catch {
  setTheme("auto");
}
document.documentElement.lang = language;
render(html`<${App} />`, document.getElementById("app"));

