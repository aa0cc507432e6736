// The rows of one folder, or of a search, for as long as they are in sight; and what this browser keeps of their looks.
import { useEffect, useMemo, useState } from "./html.js";
import { loginAsked, start } from "./api.js";
import { Found, Listing } from "./listing.js";
import { finished } from "./upload.js";

const LOOK_MS = 15000; // how often a folder in sight is asked for changes

let embedded = start.list || null; // the first page came with the page itself

export function useRows(path, sought) {
  const [, draw] = useState(0);
  const rows = useMemo(() => {
    let asked = -1; // what is there at once is drawn with the view
    const changed = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        draw((count) => count + 1);
      });
    };
    const made = sought ? new Found(path, sought, changed) : new Listing(path, changed);
    try {
      made.sort = { ...made.sort, ...JSON.parse(localStorage.getItem("splitd.sort") || "{}") };
    } catch {
      // Storage is switched off: the usual order.
    }
    const first = embedded && !sought && embedded.path === path ? embedded : null;
    embedded = null;
    if (first) made.load(first);
    else made.load();
    asked = 0;
    return made;
  }, [path, sought]);
  useEffect(() => {
    const look = () => document.visibilityState === "visible" && rows.refresh();
    const timer = setInterval(look, LOOK_MS);
    addEventListener("focus", look);
    const unwatch = finished.watch((row) => {
      if (!row || row.folder !== rows.path || sought) return;
      rows.put(row);
      rows.arrange();
    });
    const unwatchLogin = loginAsked.watch((why) => why === null && look());
    return () => {
      clearInterval(timer);
      removeEventListener("focus", look);
      unwatch();
      unwatchLogin();
      rows.close();
    };
  }, [rows]);
  return rows;
}

export const kept = (name, usual) => {
  try {
    return localStorage.getItem(name) || usual;
  } catch {
    return usual;
  }
};

export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It is kept for as long as the page is.
  }
}
