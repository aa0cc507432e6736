"use strict";
(() => {
  const AT_ONCE = 3; // uploads; more would only share the same line
  const LARGE = 1 << 20; // from here on it is worth a request to ask first whether the name is taken
  const base = document.body.dataset.base;
  const byId = (id) => document.getElementById(id);
  const waiting = [];
  let running = 0;

  // Times, in slices: a page may have very many rows.

  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  function localise(times, start = 0) {
    const stop = Math.min(start + 500, times.length);
    for (const time of times.slice(start, stop)) {
      time.title = time.textContent + " UTC";
      time.textContent = local.format(new Date(time.dateTime));
    }
    if (stop < times.length) setTimeout(localise, 0, times, stop);
  }

  function showLocalTimes() {
    for (const mark of document.querySelectorAll(".utc")) mark.remove();
    localise([...document.querySelectorAll("time")]);
  }

  // The list again, when something was stored

  async function refresh() {
    try {
      const answer = await fetch(base + document.body.dataset.query, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      byId("list").replaceWith(page.getElementById("list"));
      showLocalTimes();
    } catch {
      say("The list could not be read again: reload this page to see what has changed.");
    }
  }

  const say = (text) => (byId("said").textContent = text);

  function messageOf(status, type, text) {
    const plain = type && type.startsWith("text/plain") ? text.trim() : "";
    return plain || (status ? `the server answered ${status}` : "there is no connection to the server, or it broke");
  }

  // Uploads: each is a line with its name, its progress, what came of it, and what can be done about it.

  class Upload {
    constructor(file) {
      this.file = file;
      this.line = document.createElement("li");
      this.bar = document.createElement("progress");
      this.state = document.createElement("span");
      this.actions = document.createElement("span");
      const name = document.createElement("span");
      name.className = "name";
      name.textContent = file.name;
      this.bar.max = 1;
      this.bar.value = 0;
      this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
      this.state.className = "state";
      this.actions.className = "actions";
      this.line.append(name, this.bar, this.state, this.actions);
      byId("sent").append(this.line);
      this.queue({ "If-None-Match": "*" });
    }

    show(kind, state, actions) {
      this.line.className = kind;
      this.state.textContent = state;
      this.bar.hidden = kind !== "under-way";
      const hadFocus = this.actions.contains(document.activeElement);
      this.actions.replaceChildren(
        ...Object.entries(actions).map(([label, act]) => {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = label;
          button.setAttribute("aria-label", `${label}: ${this.file.name}`);
          button.addEventListener("click", act);
          return button;
        }),
      );
      if (hadFocus && this.actions.firstChild) this.actions.firstChild.focus();
    }

    queue(condition) {
      this.condition = condition;
      this.show("under-way", "waiting", { Cancel: () => this.cancel() });
      waiting.push(this);
      begin();
    }

    cancel() {
      const place = waiting.indexOf(this);
      if (place >= 0) waiting.splice(place, 1);
      this.cancelled = true;
      if (this.request) this.request.abort();
      this.show("stopped", "cancelled; nothing was stored", { "Try again": () => this.again(this.condition) });
    }

    again(condition) {
      this.cancelled = false;
      this.queue(condition);
    }

    async run() {
      try {
        const url = base + encodeURIComponent(this.file.name);
        if (this.file.size >= LARGE && "If-None-Match" in this.condition) {
          const found = await fetch(url, { method: "HEAD" });
          if (found.ok) return this.ask(url);
        }
        if (!this.cancelled) await this.send(url);
      } catch (problem) {
        if (!this.cancelled) this.fail(problem instanceof URIError ? "this name is not Unicode" : messageOf(0));
      }
    }

    send(url) {
      return new Promise((done) => {
        const request = (this.request = new XMLHttpRequest());
        request.open("PUT", url);
        for (const [name, value] of Object.entries(this.condition)) request.setRequestHeader(name, value);
        request.upload.addEventListener("progress", (event) => {
          this.bar.value = event.total ? event.loaded / event.total : 1;
          const percent = Math.floor(100 * this.bar.value);
          this.state.textContent = percent < 100 ? `${percent} %` : "being stored";
        });
        request.addEventListener("loadend", () => {
          this.request = null;
          if (!this.cancelled) this.answered(url, request);
          done();
        });
        request.send(this.file);
      });
    }

    answered(url, request) {
      if (request.status === 201 || request.status === 204) {
        this.show("done", request.status === 201 ? "stored" : "replaced", {});
        say(`${this.file.name} is stored.`);
        changed = true;
      } else if (request.status === 412) {
        return this.ask(url);
      } else {
        this.fail(messageOf(request.status, request.getResponseHeader("Content-Type"), request.responseText));
      }
    }

    // Replacing is agreed to for the version that is there now: another one that comes meanwhile is asked about again.
    async ask(url) {
      const found = await fetch(url, { method: "HEAD" }).catch(() => null);
      const etag = found && found.ok ? found.headers.get("ETag") : null;
      if (found && found.ok && !etag) return this.fail("a collection has this name");
      const agreed = etag ? { "If-Match": etag } : { "If-None-Match": "*" };
      this.show("asks", "there is a file of this name already", {
        Replace: () => this.again(agreed),
        "Keep old": () => this.show("stopped", "kept as it was", {}),
      });
      say(`There is a file ${this.file.name} already.`);
    }

    fail(reason) {
      this.show("failed", reason, { "Try again": () => this.again(this.condition) });
      say(`${this.file.name} is not stored: ${reason}`);
    }
  }

  let changed = false;

  function begin() {
    while (running < AT_ONCE && waiting.length) {
      running += 1;
      waiting.shift().run().finally(() => {
        running -= 1;
        begin();
        if (!running && changed) {
          changed = false;
          refresh();
        }
      });
    }
  }

  function add(files) {
    for (const file of files) new Upload(file);
  }

  // A folder that is dropped looks like a file that cannot be read.
  function dropped(items) {
    const files = [];
    for (const item of items) {
      if (item.kind !== "file") continue;
      const entry = item.webkitGetAsEntry && item.webkitGetAsEntry();
      if (entry && entry.isDirectory) say(`${entry.name} is a folder: drop the files in it.`);
      else files.push(item.getAsFile());
    }
    add(files);
  }

  function watchDrops() {
    let depth = 0;
    const mark = (change) => {
      depth = Math.max(0, depth + change);
      document.body.classList.toggle("dropping", depth > 0);
    };
    const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
    addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
    addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      mark(0);
      dropped(event.dataTransfer.items);
    });
  }

  async function makeCollection(event) {
    event.preventDefault();
    const field = byId("name");
    const name = field.value;
    try {
      const answer = await fetch(`${base}${encodeURIComponent(name)}/`, { method: "MKCOL" });
      if (answer.ok) {
        field.value = "";
        say(`The collection ${name} is made.`);
        await refresh();
      } else {
        say(`The collection ${name} is not made: ` +
          messageOf(answer.status, answer.headers.get("Content-Type"), await answer.text()));
      }
    } catch {
      say(`The collection ${name} is not made: ${messageOf(0)}`);
    }
  }

  showLocalTimes();
  byId("files").addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  });
  byId("make").addEventListener("submit", makeCollection);
  watchDrops();
  addEventListener("beforeunload", (event) => running && event.preventDefault());
  byId("add").hidden = false;
})();
