// What views are made of: Preact's functions, and templates in place of JSX.
import { h, render, Fragment, createRef } from "./vendor/preact.js";
import { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export { h, render, Fragment, createRef, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback };

/** A value that views may watch. */
export class Signal {
  constructor(value) {
    this.value = value;
    this.watchers = new Set();
  }

  set(value) {
    this.value = value;
    for (const watcher of [...this.watchers]) watcher(value);
  }

  /** Tell the watchers that something inside of the value has changed. */
  touch() {
    this.set(this.value);
  }

  watch(watcher) {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }
}

/** The value of a signal; the view is drawn again when it is set. */
export function useSignal(signal) {
  const [, draw] = useState(0);
  useLayoutEffect(() => signal.watch(() => draw((count) => count + 1)), [signal]);
  return signal.value;
}
