// Rows in a list or a grid.  Only those in sight are in the document, however many there are.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { api, urlOf } from "./api.js";
import { formatMoment, formatSize, formatTime, kindOf } from "./format.js";
import { Icon, KindIcon } from "./icons.js";
import { t } from "./texts.js";

const TILE = { width: 148, height: 156, gap: 12 };
const THUMB = 1024 * 1024; // bytes of a picture that is shown in a grid as it is
const END = 72; // room below the last row, for what lies above the list there
const SPARE = 8; // rows beyond the edges of the window

const narrow = matchMedia("(max-width: 640px)");

function useSize(ref, isGrid) {
  // Until it has been drawn, a list takes the size of the window: to ask for its own would have all be laid out twice.
  const [size, setSize] = useState({ width: innerWidth, height: innerHeight, narrow: narrow.matches });
  useLayoutEffect(() => {
    let waiting = 0;
    const read = () => setSize({ width: ref.current.clientWidth, height: ref.current.clientHeight, narrow: narrow.matches });
    const observer = new ResizeObserver(() => {
      waiting ||= requestAnimationFrame(() => {
        waiting = 0;
        read();
      });
    });
    observer.observe(ref.current);
    if (isGrid) read(); // the size of a tile depends on it
    return () => {
      observer.disconnect();
      cancelAnimationFrame(waiting);
    };
  }, []);
  return size;
}

/** The geometry: which rows are in sight, and where each one is. */
function layOut(isGrid, size, count, top) {
  const inner = size.width - 2 * TILE.gap;
  const columns = isGrid ? Math.max(1, Math.floor((inner + TILE.gap) / ((size.narrow ? 104 : TILE.width) + TILE.gap))) : 1;
  const height = isGrid ? TILE.height + TILE.gap : size.narrow ? 56 : 40;
  const lines = Math.ceil(count / columns);
  const first = Math.max(0, Math.floor(top / height) - SPARE);
  const last = Math.min(lines, Math.ceil((top + size.height) / height) + SPARE);
  const width = isGrid ? (inner + TILE.gap) / columns - TILE.gap : 0;
  return { columns, height, lines, first: first * columns, last: Math.min(count, last * columns), width };
}

/** A list of rows.
 *
 *  rows: what is shown.  selected: a set of paths.  cursor: the index of the row that keys act on, or -1.
 */
export function List({ rows, isGrid, sort, onSort, selected, cursor, label, withFolder, total, on }) {
  const ref = useRef();
  const size = useSize(ref, isGrid);
  const [top, setTop] = useState(0);
  const waiting = useRef(0);
  const { columns, height, lines, first, last, width } = layOut(isGrid, size, rows.length, top);

  const scrolled = () => {
    if (waiting.current) return;
    waiting.current = requestAnimationFrame(() => {
      waiting.current = 0;
      if (ref.current) setTop(ref.current.scrollTop);
    });
  };

  // The row that keys act on stays in sight.
  useEffect(() => {
    if (cursor < 0 || !ref.current) return;
    const line = Math.floor(cursor / columns);
    const head = isGrid ? 0 : HEAD(size);
    const room = ref.current.clientHeight - head;
    const at = line * height;
    if (at < ref.current.scrollTop) ref.current.scrollTop = at;
    else if (at + height > ref.current.scrollTop + room) ref.current.scrollTop = at + height - room;
  }, [cursor, columns, height]);

  const key = (event) => on.key(event, columns, Math.max(1, Math.floor(size.height / height) - 1) * columns);
  const visible = [];
  for (let index = first; index < last; index += 1) {
    const Shape = isGrid ? Tile : Line;
    const row = rows[index];
    visible.push(html`<${Shape} key=${row.path} row=${row} index=${index} on=${on} withFolder=${withFolder}
      isSelected=${selected.has(row.path)} isCursor=${index === cursor}
      place=${isGrid ? place(index, columns, width, height) : { top: `${index * height}px` }} />`);
  }
  const active = cursor >= first && cursor < last ? `row-${cursor}` : undefined;
  return html`<div class=${isGrid ? "list tiles" : "list"} ref=${ref} onScroll=${scrolled} onKeyDown=${key} tabindex="0" role="grid"
    aria-label=${label} aria-multiselectable="true" aria-rowcount=${total + 1} aria-colcount="3" aria-activedescendant=${active} data-list>
    <${Head} sort=${sort} onSort=${onSort} isGrid=${isGrid} all=${rows.length > 0 && rows.every((row) => selected.has(row.path))} on=${on} />
    <div class="rows" role="rowgroup" style=${{ height: `${lines * height + END}px` }}>${visible}</div>
  </div>`;
}

const HEAD = (size) => (size.narrow ? 0 : 34);

function place(index, columns, width, height) {
  const [line, column] = [Math.floor(index / columns), index % columns];
  return {
    top: `${TILE.gap + line * height}px`,
    left: `${TILE.gap + column * (width + TILE.gap)}px`,
    width: `${width}px`,
    height: `${TILE.height}px`,
  };
}

const COLUMNS = [["name", "name"], ["size", "size"], ["ms", "modified"]];

function Head({ sort, onSort, isGrid }) {
  return html`<div class=${isGrid ? "head unseen" : "head"} role="rowgroup"><div class="head-row" role="row" aria-rowindex="1">
    ${COLUMNS.map(
      ([by, text]) => html`<div role="columnheader" class=${`cell-${by}`}
        aria-sort=${sort.by === by ? (sort.down ? "descending" : "ascending") : "none"}>
        <button class="quiet" tabindex=${isGrid ? -1 : 0} onClick=${() => onSort(by)}>${t(text)}
          ${sort.by === by && html`<span class=${sort.down ? "sorted down" : "sorted"} aria-hidden="true"></span>`}</button>
      </div>`,
    )}
  </div></div>`;
}

function pointers({ row, index, on }) {
  return {
    onClick: (event) => on.click(event, row, index),
    onDblClick: (event) => on.doubleClick(event, row),
    onContextMenu: (event) => on.context(event, row, index),
  };
}

const Name = ({ row, on }) =>
  html`<a class="name" href=${urlOf(row.path, row.isFolder)} tabindex="-1" dir="auto" title=${row.name} draggable=${false} onClick=${(event) => on.open(event, row)}>${row.name}</a>`;

const Pick = ({ row, index, on, isSelected, kind }) =>
  html`<button class="pick" tabindex="-1" aria-label=${t("select", row.name)} aria-pressed=${isSelected ? "true" : "false"}
    onClick=${(event) => (event.stopPropagation(), on.pick(event, row, index))}>
    <span class="shown"><${KindIcon} kind=${kind} /></span><span class="box"><${Icon} name="check" size=${14} /></span>
  </button>`;

const More = ({ row, index, on }) =>
  html`<button class="quiet icon-only more" tabindex="-1" aria-label=${t("actionsFor", row.name)}
    onClick=${(event) => (event.stopPropagation(), on.context(event, row, index))}><${Icon} name="more" /></button>`;

function Line({ row, index, on, isSelected, isCursor, place: style, withFolder }) {
  const about = { row, index, on };
  return html`<div class=${`row ${isSelected ? "selected" : ""} ${isCursor ? "cursor" : ""}`} id=${`row-${index}`} role="row"
    aria-rowindex=${index + 2} aria-selected=${isSelected ? "true" : "false"} style=${style} ...${pointers(about)}>
    <div class="cell-name" role="gridcell">
      <${Pick} ...${about} isSelected=${isSelected} kind=${kindOf(row)} /><${Name} row=${row} on=${on} />
      ${withFolder && html`<span class="where">${row.folder}</span>`}
    </div>
    <div class="cell-size" role="gridcell">${row.isFolder ? html`<span class="dash">–</span>` : formatSize(row.size)}</div>
    <div class="cell-ms" role="gridcell" onMouseEnter=${(event) => (event.currentTarget.title = formatMoment(row.ms))}>${formatTime(row.ms)}<${More} ...${about} /></div>
  </div>`;
}

function Tile({ row, index, on, isSelected, isCursor, place: style }) {
  const about = { row, index, on };
  const kind = kindOf(row);
  return html`<div class=${`tile ${isSelected ? "selected" : ""} ${isCursor ? "cursor" : ""}`} id=${`row-${index}`} role="row"
    aria-rowindex=${index + 2} aria-selected=${isSelected ? "true" : "false"} style=${style} ...${pointers(about)}>
    <div role="gridcell" class="tile-inside">
      <${Thumb} row=${row} kind=${kind} />
      <${Pick} ...${about} isSelected=${isSelected} kind=${kind} />
      <${Name} row=${row} on=${on} />
      <span class="about">${row.isFolder ? t("folder") : formatSize(row.size)}</span>
      <${More} ...${about} />
    </div>
  </div>`;
}

/** The address of a small picture of a row; the server makes those of the usual formats. */
function thumbOf(row, kind) {
  if (kind !== "image" || row.size <= 0) return null;
  if (!/\.(bmp|ico|svg)$/i.test(row.name)) return `${api}/thumbnail?${new URLSearchParams({ path: row.path, v: row.ms })}`;
  return row.size <= THUMB ? urlOf(row.path) : null;
}

function Thumb({ row, kind }) {
  const url = thumbOf(row, kind);
  const [failed, setFailed] = useState(null);
  return html`<div class="thumb">
    ${url && failed !== url
      ? html`<img src=${url} alt="" loading="lazy" decoding="async" draggable=${false} onError=${() => setFailed(url)} />`
      : html`<${KindIcon} kind=${kind} size=${44} />`}
  </div>`;
}
