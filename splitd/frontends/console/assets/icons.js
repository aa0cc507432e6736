// Drawings, all on a grid of 20 by 20.
import { html } from "./html.js";

const lines = {
  up: "M4 16V8m0 0L1 11m3-3 3 3",
  files: "M2.5 5.5c0-.8.7-1.5 1.5-1.5h3.6l1.9 2H16c.8 0 1.5.7 1.5 1.5v7c0 .8-.7 1.5-1.5 1.5H4c-.8 0-1.5-.7-1.5-1.5z",
  shares: "M8.5 11.5a3 3 0 0 0 4.2 0l2.9-2.9a3 3 0 0 0-4.2-4.2l-1 1M11.5 8.5a3 3 0 0 0-4.2 0l-2.9 2.9a3 3 0 0 0 4.2 4.2l1-1",
  bin: "M3.5 5.5h13M8 5.5V4h4v1.5M5 5.5l.8 10.5h8.4L15 5.5M8.3 8.5v5M11.7 8.5v5",
  cluster: "M3 4.5h14v4.5H3zM3 11h14v4.5H3zM6 6.8h.01M6 13.2h.01M9 6.8h5M9 13.2h5",
  account: "M10 10a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 10 10zM3.8 16.5c.7-2.8 3.2-4.2 6.2-4.2s5.5 1.4 6.2 4.2",
  key: "M7.5 12.5a4 4 0 1 1 3.6-2.3L17 16v1.5h-2.5V16H13v-1.6h-1.6l-1.5-1.6a4 4 0 0 1-2.4-.3zM7 7h.01",
  search: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM13 13l4 4",
  upload: "M10 13V4m0 0L6.5 7.5M10 4l3.5 3.5M3.5 13v2.5c0 .6.4 1 1 1h11c.6 0 1-.4 1-1V13",
  download: "M10 4v9m0 0 3.5-3.5M10 13 6.5 9.5M3.5 13v2.5c0 .6.4 1 1 1h11c.6 0 1-.4 1-1V13",
  newFolder: "M2.5 5.5c0-.8.7-1.5 1.5-1.5h3.6l1.9 2H16c.8 0 1.5.7 1.5 1.5v7c0 .8-.7 1.5-1.5 1.5H4c-.8 0-1.5-.7-1.5-1.5zM10 8.7v4.6M7.7 11h4.6",
  list: "M7 5h10M7 10h10M7 15h10M3 5h.01M3 10h.01M3 15h.01",
  grid: "M3.5 3.5h5v5h-5zM11.5 3.5h5v5h-5zM3.5 11.5h5v5h-5zM11.5 11.5h5v5h-5z",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  close: "m5 5 10 10M15 5 5 15",
  check: "m4 10.5 4 4 8-9",
  rename: "M12.5 4.5l3 3L7 16H4v-3zM11 6l3 3",
  move: "M3 10h13m0 0-4-4m4 4-4 4",
  copy: "M7 7h9v9H7zM4 13V4h9",
  info: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 9.3V13.5M10 6.6h.01",
  left: "m12 4-6 6 6 6",
  right: "m8 4 6 6-6 6",
  down: "m5 8 5 5 5-5",
  pause: "M7 5v10M13 5v10",
  play: "M6.5 4.5v11l9-5.5z",
  retry: "M4.5 10a5.5 5.5 0 1 1 1.7 4M4 16v-3.5h3.5",
  link: "M8.5 11.5a3 3 0 0 0 4.2 0l2.9-2.9a3 3 0 0 0-4.2-4.2l-1 1M11.5 8.5a3 3 0 0 0-4.2 0l-2.9 2.9a3 3 0 0 0 4.2 4.2l1-1",
  out: "M8 4H4.5v12H8M12.5 6.5 16 10l-3.5 3.5M16 10H8",
  warning: "M10 3.5 17.5 16.5h-15zM10 8.5v3.5M10 14.3h.01",
};

/** A drawing of lines in the colour of the text. */
export const Icon = ({ name, size = 20 }) => html`
  <svg class="icon" width=${size} height=${size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
    <path d=${lines[name]} />
  </svg>
`;

const marks = {
  image: "M6.5 13.5l2.3-3 1.7 2 1.2-1.5 1.8 2.5zM12 8.3h.01",
  video: "M8.5 8.3v5l4-2.5z",
  audio: "M8.3 13.2V8.5l3.7-.8v4.5M8.3 13.2a1 1 0 1 1-1-1M12 12.2a1 1 0 1 1-1-1",
  pdf: "M7 12.5h6M7 10.2h6M7 14.8h3.5",
  markdown: "M7 13.5v-4l1.7 2 1.7-2v4M12.8 9.5v4m0 0-1.2-1.3m1.2 1.3 1.2-1.3",
  archive: "M10 3v2m0 1.5v1.5m0 1.5V11M8.8 12h2.4v2.5H8.8z",
  code: "m8.3 9.3-2 2 2 2M11.7 9.3l2 2-2 2",
  text: "M7 9.5h6M7 12h6M7 14.5h4",
  sheet: "M6.8 9.3h6.4v5.2H6.8zM10 9.3v5.2M6.8 12h6.4",
  document: "M7 9.5h6M7 12h6M7 14.5h4",
  other: "",
};

/** The drawing of a kind of file. */
export const KindIcon = ({ kind, size = 20 }) =>
  kind === "folder"
    ? html`<svg class="kind folder" width=${size} height=${size} viewBox="0 0 20 20" aria-hidden="true">
        <path class="back" d="M2 5.2C2 4.5 2.5 4 3.2 4h4.1c.4 0 .7.1.9.4L9.3 6h7.5c.7 0 1.2.5 1.2 1.2v1H2z" />
        <path class="front" d="M2 7.5h16v7.3c0 .7-.5 1.2-1.2 1.2H3.2c-.7 0-1.2-.5-1.2-1.2z" />
      </svg>`
    : html`<svg class=${`kind ${kind}`} width=${size} height=${size} viewBox="0 0 20 20" aria-hidden="true">
        <path class="sheet" d="M5 2.5h6.5L16 7v9.5c0 .6-.4 1-1 1H5c-.6 0-1-.4-1-1v-13c0-.6.4-1 1-1z" />
        <path class="fold" d="M11.5 2.5V7H16" />
        <path class="mark" d=${marks[kind]} />
      </svg>`;

/** The mark of the house: a file in six parts. */
export const Mark = ({ size = 24 }) => html`
  <svg class="brand-mark" width=${size} height=${size} viewBox="0 0 32 32" aria-hidden="true">
    <rect x="3" y="5" width="7" height="10" rx="2" /><rect x="12.5" y="5" width="7" height="10" rx="2" opacity=".72" />
    <rect x="22" y="5" width="7" height="10" rx="2" opacity=".45" /><rect x="3" y="17" width="7" height="10" rx="2" opacity=".45" />
    <rect x="12.5" y="17" width="7" height="10" rx="2" opacity=".72" /><rect x="22" y="17" width="7" height="10" rx="2" />
  </svg>
`;
