// The uploads that a page has begun and not ended, for the next page in this browser.
import { me } from "./api.js";

const KEY = "splitd.unfinished";

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY) || "[]");
  } catch {
    return [];
  }
}

function write(all) {
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // Storage is switched off: nothing can be continued after a reload.
  }
}

/** Those of the present user. */
export const all = () => read().filter((each) => each.user === me.value.name);

export function keep({ url, path, size, sent, file, overwrite, etag }) {
  const known = { url, path, size, sent, overwrite, etag, type: file.type, modified: file.lastModified, user: me.value.name };
  write([...read().filter((each) => each.url !== url), known]);
}

export const forget = ({ url }) => url && write(read().filter((each) => each.url !== url));
