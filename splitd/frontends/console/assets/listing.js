// The members of one folder, or what a search found: loaded page by page, sorted and filtered here.
import { api, call, getJson, join } from "./api.js";

const FIRST = 2000;
const PAGE = 10000;
const MOST = 300000; // rows that are kept; beyond that only the first ones are shown

/** A text without differences between letters that look the same. */
const plain = (text) => text.normalize("NFC").toLowerCase();

/** A row of a list. */
export class Row {
  constructor(folder, [name, size, ms, type]) {
    this.folder = folder;
    this.name = name;
    this.size = size;
    this.ms = ms;
    this.type = type;
    this.sortKey = "";
    this.plainName = "";
  }

  /** The name as a filter compares it. */
  get plain() {
    return (this.plainName ||= plain(this.name));
  }

  get isFolder() {
    return this.size < 0;
  }

  get path() {
    return join(this.folder, this.name);
  }

  /** The name in lower case, without accents, and with numbers that sort as numbers. */
  get key() {
    if (!this.sortKey) {
      const lower = this.name.toLowerCase();
      // eslint-disable-next-line no-control-regex
      const bare = /^[\x00-\x7f]*$/.test(lower) ? lower : lower.normalize("NFD").replace(/[\u0300-\u036f]/g, "");
      this.sortKey = bare.replace(/\d+/g, (digits) => digits.padStart(16, "0"));
    }
    return this.sortKey;
  }
}

const byKey = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
const orders = {
  name: byKey,
  size: (a, b) => a.size - b.size || byKey(a, b),
  ms: (a, b) => a.ms - b.ms || byKey(a, b),
};

/** Rows with an order and a filter. */
export class Rows {
  constructor(changed) {
    this.changed = changed;
    this.rows = [];
    this.shown = [];
    this.rights = [];
    this.complete = false;
    this.cut = false;
    this.failure = null;
    this.filter = "";
    this.sort = { by: "name", down: false };
    this.ending = new AbortController();
  }

  close() {
    this.ending.abort();
    this.changed = () => {};
  }

  setSort(by) {
    this.sort = { by, down: this.sort.by === by ? !this.sort.down : by !== "name" };
    this.arrange();
  }

  setFilter(text) {
    this.filter = plain(text);
    this.arrange();
  }

  arrange() {
    const { by, down } = this.sort;
    const wanted = this.filter ? this.rows.filter((row) => row.plain.includes(this.filter)) : [...this.rows];
    const order = orders[by];
    const sign = down ? -1 : 1;
    this.shown = wanted.sort((a, b) => b.isFolder - a.isFolder || sign * order(a, b));
    this.changed();
  }

  /** Put a row in the place of the one with its name, or beside the others. */
  put(row) {
    this.rows = this.rows.filter((each) => each.path !== row.path);
    this.rows.push(row);
  }

  drop(paths) {
    const gone = new Set(paths);
    this.rows = this.rows.filter((row) => !gone.has(row.path));
    this.arrange();
  }
}

/** The members of a folder. */
export class Listing extends Rows {
  constructor(path, changed) {
    super(changed);
    this.path = path;
    this.modified = 0;
  }

  /** Load all members; `first` is a page that is here already. */
  async load(first = null) {
    const { signal } = this.ending;
    const rows = [];
    try {
      let page = first || (await getJson("list", { path: this.path, limit: FIRST }, signal));
      this.modified = page.modified_ms;
      for (;;) {
        for (const each of page.members) rows.push(new Row(this.path, each));
        this.rights = page.rights;
        this.failure = null;
        this.cut = page.next !== null && rows.length >= MOST;
        this.complete = page.next === null || this.cut;
        // A list that is loaded again is shown when it is whole: it would jump otherwise.
        if (this.complete || rows.length >= this.rows.length) {
          this.rows = [...rows];
          this.arrange();
        }
        if (this.complete) return;
        page = await getJson("list", { path: this.path, after: page.next, limit: PAGE }, signal);
      }
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.failure = problem;
      this.complete = true;
      this.changed();
    }
  }

  /** Load it again if somebody has changed it since. */
  async refresh() {
    if (!this.complete) return;
    if (this.failure) return this.load();
    try {
      const page = await getJson("list", { path: this.path, limit: 1 }, this.ending.signal);
      if (page.modified_ms !== this.modified) await this.load();
    } catch (problem) {
      if (problem.status === 404) {
        this.failure = problem;
        this.rows = [];
        this.arrange();
      }
    }
  }
}

/** What a search finds below a folder. */
export class Found extends Rows {
  constructor(path, text, changed) {
    super(changed);
    this.path = path;
    this.text = text;
  }

  async load() {
    try {
      // What one may do in the folder; below it, the server may refuse something.
      this.rights = (await getJson("list", { path: this.path, limit: 1 }, this.ending.signal)).rights;
      const query = new URLSearchParams({ path: this.path, text: this.text });
      const answer = await call("GET", `${api}/search?${query}`, { signal: this.ending.signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) this.take(JSON.parse(line));
        this.arrange();
      }
      this.complete = true;
      this.arrange();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.failure = problem;
      this.complete = true;
      this.changed();
    }
  }

  take(found) {
    if (Array.isArray(found)) this.rows.push(new Row(found[0], found.slice(1)));
    else this.cut = !found.complete;
  }

  async refresh() {}
}
