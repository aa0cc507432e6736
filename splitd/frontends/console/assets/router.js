// Which view the address stands for.  Going from one to the other keeps the page, and so the uploads, alive.
import { Signal } from "./html.js";
import { base, urlOf } from "./api.js";

const views = `${base}/.splitd/`;

function read() {
  const { pathname, search } = location;
  const query = new URLSearchParams(search);
  if (pathname.startsWith(views)) return { view: pathname.slice(views.length).split("/")[0], path: query.get("path") || "/", query };
  let path;
  try {
    path = decodeURIComponent(pathname.slice(base.length)) || "/";
  } catch {
    path = "/";
  }
  if (path.length > 1 && path.endsWith("/")) path = path.slice(0, -1);
  return { view: "files", path, query };
}

export const route = new Signal(read());

addEventListener("popstate", () => route.set(read()));

/** Show another address. */
export function go(url, replace = false) {
  if (url === location.pathname + location.search) return;
  if (replace) history.replaceState(history.state, "", url);
  else history.pushState({ within: true }, "", url);
  route.set(read());
}

/** Leave what lies above a page: one step back, so that the button for that does not lead there again. */
export function leave(url) {
  if (history.state?.within) history.back();
  else go(url, true);
}

export const viewUrl = (name, query = "") => `${views}${name}${query}`;

export const openFolder = (path) => go(urlOf(path, true));

/** What a click on a link of ours does: nothing that the browser itself would do better. */
export function follow(event) {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(event.currentTarget.getAttribute("href"));
}
